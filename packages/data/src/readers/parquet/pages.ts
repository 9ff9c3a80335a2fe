import type { AsyncBuffer, ColumnMetaData, CompressionCodec, Compressors } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { checkCount, CompactReader, type Struct } from "./compact.ts";
import { checkHybrid, checkPrefixedHybrid, checkValues } from "./runs.ts";

/** Most values of a dictionary and most bytes of a page that a file may claim. */
const LIMITS = { dictionary: 2 ** 24, pageBytes: 2 ** 28 };

/** Page types, and by type the field that holds the page's own header. */
const [DATA, DICTIONARY, DATA_V2] = [0, 2, 3] as const;
const HEADER_FIELD: Readonly<Record<number, number>> = { [DATA]: 5, [DICTIONARY]: 7, [DATA_V2]: 8 };

/** A column without nesting. */
export interface FlatColumn {
  readonly meta: ColumnMetaData;
  readonly optional: boolean;
  /** Rows of its row group. */
  readonly rows: number;
}

/** The decompressors, with a bound on what a page may claim to become. */
export const boundedCompressors: Compressors = Object.fromEntries(
  Object.entries(compressors).map(([codec, decompress]) => [codec, (input: Uint8Array, size: number) => decompress(input, checkCount("bytes of a page", size, LIMITS.pageBytes))]),
);

/**
 * Checks a column chunk's page headers, definition levels and runs before hyparquet decodes them: it trusts them, and a wrong one can make it loop or
 * exhaust memory.
 * Source: apache/parquet-format, PageHeader in parquet.thrift.
 * @throws RangeError for a claim that breaks a rule
 */
export async function checkPages(source: AsyncBuffer, column: FlatColumn): Promise<void> {
  const { meta, rows } = column;
  if (rows === 0) return;
  const bytes = await columnBytes(source, meta);
  const reader = new CompactReader(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  for (let values = 0; values < rows; ) {
    const header = reader.struct();
    const compressed = checkCount("bytes of a compressed page", header[3], bytes.byteLength - reader.offset);
    checkCount("bytes of a page", header[2], LIMITS.pageBytes);
    const own = header[HEADER_FIELD[Number(header[1])] as number];
    if (typeof own !== "object") throw new RangeError(`a page of type ${String(header[1])}`);
    const page = { header, own, bytes: bytes.subarray(reader.offset, reader.offset + compressed), column, left: rows - values };
    if (header[1] === DICTIONARY) checkCount("values in a dictionary", own[1], LIMITS.dictionary);
    else values += header[1] === DATA ? checkDataPage(page) : checkDataPageV2(page);
    reader.offset += compressed;
  }
}

async function columnBytes(source: AsyncBuffer, meta: ColumnMetaData): Promise<Uint8Array> {
  const start = Number(meta.dictionary_page_offset || meta.data_page_offset);
  const end = start + Number(meta.total_compressed_size);
  if (!(start >= 4 && end >= start && end <= source.byteLength)) throw new RangeError(`a column from byte ${start} to ${end} of ${source.byteLength}`);
  return new Uint8Array(await source.slice(start, end));
}

interface Page {
  readonly header: Struct;
  /** The header of the page's type. */
  readonly own: Struct;
  readonly bytes: Uint8Array;
  readonly column: FlatColumn;
  /** Values that the column still lacks. */
  readonly left: number;
}

/** @returns how many values the page holds. */
function checkDataPage({ header, own, bytes, column, left }: Page): number {
  const values = checkCount("values in a page", own[1], left);
  const page = decompressed(bytes, Number(header[2]), column.meta.codec);
  const levels = column.optional ? checkPrefixedHybrid(page, 0, values) : { ones: values, end: 0 };
  checkValues(page, levels.end, { encoding: checkCount("encoding", own[2], 9), count: levels.ones, isBoolean: column.meta.type === "BOOLEAN" });
  return values;
}

/** @returns how many values the page holds. */
function checkDataPageV2({ header, own, bytes, column, left }: Page): number {
  const values = checkCount("values in a page", own[1], left);
  const nulls = checkCount("nulls in a page", own[2], values);
  checkCount("rows in a page", own[3], values);
  const repetitionBytes = checkCount("bytes of repetition levels", own[6], bytes.length);
  const levels = repetitionBytes + checkCount("bytes of definition levels", own[5], bytes.length - repetitionBytes);
  if (column.optional) checkHybrid(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), repetitionBytes, levels, 1, values);
  const codec = own[7] === 0 ? "UNCOMPRESSED" : column.meta.codec;
  const page = decompressed(bytes.subarray(levels), Number(header[2]) - levels, codec);
  checkValues(page, 0, { encoding: checkCount("encoding", own[4], 9), count: values - nulls, isBoolean: column.meta.type === "BOOLEAN" });
  return values;
}

function decompressed(bytes: Uint8Array, size: number, codec: CompressionCodec): DataView {
  const decompress = boundedCompressors[codec];
  if (codec !== "UNCOMPRESSED" && decompress === undefined) throw new RangeError(`compression ${codec}`);
  const page = codec === "UNCOMPRESSED" || decompress === undefined ? bytes : decompress(bytes, size);
  return new DataView(page.buffer, page.byteOffset, page.byteLength);
}
