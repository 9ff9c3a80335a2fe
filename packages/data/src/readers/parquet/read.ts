import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema, type AsyncBuffer, type FileMetaData, type ParquetRow, type RowGroup } from "hyparquet";
import { fileError, type Row } from "../row.ts";
import { boundedCompressors, checkPages, type FlatColumn } from "./pages.ts";

/** Most rows of a row group and most bytes of the footer that a file may ask for. */
const LIMITS = { groupRows: 2 ** 24, footerBytes: 2 ** 26 };

/** Options of `readParquet`. */
export interface ParquetOptions {
  /** The columns to read, where the file has them all; every column when left out or when one is missing. */
  readonly columns?: readonly string[] | undefined;
}

/** A column at the top of the schema that holds one value a row. */
interface Flat {
  readonly name: string;
  readonly optional: boolean;
}

/**
 * The rows of a Parquet file in any of its compressions, one row group at a time; a row's line is its position, from 1. Columns of lists and structs
 * are passed over.
 * @throws DeftError `data.file` when it is not a readable Parquet file, claims sizes beyond the bounds, or holds DELTA_BYTE_ARRAY values
 */
export async function* readParquet(file: string, options: ParquetOptions = {}): AsyncGenerator<Row> {
  const { source, metadata, flat } = await opened(file);
  const chosen = chosenOf(flat, options.columns);
  let start = 0;
  for (const group of metadata.row_groups) {
    const end = start + Number(group.num_rows);
    const rows = await guarded(file, async () => {
      for (const column of columnsOf(group, chosen)) await checkPages(source, column);
      return parquetReadObjects({ file: source, metadata, compressors: boundedCompressors, columns: chosen.map(({ name }) => name), rowStart: start, rowEnd: end });
    });
    if (rows.length !== end - start) throw fileError(file, `its row group must hold ${end - start} rows`, rows.length, "Copy the file again");
    for (const [i, record] of rows.entries()) yield { file, line: start + i + 1, record: plain(record) };
    start = end;
  }
}

function chosenOf(flat: readonly Flat[], wanted: readonly string[] | undefined): readonly Flat[] {
  const found = flat.filter(({ name }) => wanted?.includes(name));
  return found.length === wanted?.length ? found : flat;
}

async function opened(file: string): Promise<{ source: AsyncBuffer; metadata: FileMetaData; flat: Flat[] }> {
  const source = await asyncBufferFromFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw fileError(file, "the file must be readable", cause.code ?? String(cause), "Check the path", cause);
  });
  return guarded(file, async () => {
    await checkFooter(source);
    const metadata = await parquetMetadataAsync(source);
    for (const { num_rows: rows } of metadata.row_groups) if (rows < 0n || rows > BigInt(LIMITS.groupRows)) throw new RangeError(`a row group of ${rows} rows`);
    return { source, metadata, flat: flatColumns(metadata) };
  });
}

/** The footer's length stands before the last four bytes. */
async function checkFooter(source: AsyncBuffer): Promise<void> {
  if (source.byteLength < 12) throw new RangeError(`a file of ${source.byteLength} bytes`);
  const length = new DataView(await source.slice(source.byteLength - 8)).getUint32(0, true);
  if (length > Math.min(LIMITS.footerBytes, source.byteLength - 8)) throw new RangeError(`a footer of ${length} bytes in a file of ${source.byteLength}`);
}

function flatColumns(metadata: FileMetaData): Flat[] {
  return parquetSchema(metadata)
    .children.filter(({ children, element }) => children.length === 0 && element.repetition_type !== "REPEATED")
    .map(({ element }) => ({ name: element.name, optional: element.repetition_type !== "REQUIRED" }));
}

function columnsOf(group: RowGroup, chosen: readonly Flat[]): FlatColumn[] {
  return chosen.map(({ name, optional }) => {
    const meta = group.columns.find((column) => column.meta_data?.path_in_schema.join(".") === name)?.meta_data;
    if (meta === undefined) throw new RangeError(`a row group without column ${name}`);
    return { meta, optional, rows: Number(group.num_rows) };
  });
}

async function guarded<T>(file: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw fileError(file, "the file must be Parquet with columns in its plain, dictionary or delta-length encoding", (cause as Error).message, "Copy or write the file again", cause);
  }
}

/** Bigints that fit become numbers. */
function plain(row: ParquetRow): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, typeof value === "bigint" && BigInt.asIntN(53, value) === value ? Number(value) : (value as unknown)]));
}
