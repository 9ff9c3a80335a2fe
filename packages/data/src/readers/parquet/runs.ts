import { checkCount, CompactReader } from "./compact.ts";

/** Encodings of values. */
const [PLAIN, PLAIN_DICTIONARY, RLE, DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY, RLE_DICTIONARY, BYTE_STREAM_SPLIT] = [0, 2, 3, 5, 6, 8, 9];

/** Most values of a block and most miniblocks of a delta encoding. */
const DELTA_LIMITS = { block: 2 ** 20, miniblocks: 2 ** 12 };

/**
 * Checks the runs of Parquet's RLE/bit-packing hybrid from `start` to `end` until they hold `count` values.
 * Source: apache/parquet-format, Encodings.md.
 * @returns how many of the values are 1, for `width` 1
 * @throws RangeError for a run beyond the values or the bytes
 */
export function checkHybrid(bytes: DataView, start: number, end: number, width: number, count: number): number {
  const reader = new CompactReader(bytes, start);
  let ones = 0;
  for (let seen = 0; seen < count; ) {
    const header = reader.varint();
    const length = Math.floor(header / 2);
    if (header % 2 === 0) {
      seen += checkCount("values in a run", length, count - seen);
      if (width === 1) ones += length * (bytes.getUint8(reader.offset) & 1);
      reader.offset += Math.ceil(width / 8);
    } else {
      checkCount("groups in a bit-packed run", length, Math.ceil((count - seen) / 8));
      if (width === 1) ones += onesOf(bytes, reader.offset, Math.min(length * 8, count - seen));
      seen += length * 8;
      reader.offset += length * width;
    }
    checkCount("bytes of runs", reader.offset, end);
  }
  return ones;
}

function onesOf(bytes: DataView, offset: number, bits: number): number {
  let ones = 0;
  for (let i = 0; i < bits; i++) ones += (bytes.getUint8(offset + (i >> 3)) >> (i & 7)) & 1;
  return ones;
}

/** Checks the values of a page from `start` on, as far as hyparquet would trust them. */
export function checkValues(bytes: DataView, start: number, options: { encoding: number; count: number; isBoolean: boolean }): void {
  const { encoding, count, isBoolean } = options;
  const end = bytes.byteLength;
  switch (encoding) {
    case PLAIN:
    case BYTE_STREAM_SPLIT:
      return;
    case RLE:
      if (!isBoolean) throw new RangeError("run-length encoding of values that are not booleans");
      checkPrefixedHybrid(bytes, start, count);
      return;
    case PLAIN_DICTIONARY:
    case RLE_DICTIONARY: {
      if (isBoolean) throw new RangeError("a dictionary of booleans");
      const width = checkCount("bits of an index", bytes.getUint8(start), 32);
      if (width > 0) checkHybrid(bytes, start + 1, end, width, count);
      return;
    }
    case DELTA_BINARY_PACKED:
    case DELTA_LENGTH_BYTE_ARRAY: {
      const reader = new CompactReader(bytes, start);
      checkCount("values in a block", reader.varint(), DELTA_LIMITS.block);
      checkCount("miniblocks in a block", reader.varint(), DELTA_LIMITS.miniblocks);
      return;
    }
    default:
      throw new RangeError(`encoding ${encoding} of values`);
  }
}

/**
 * A hybrid of width 1 after its length in bytes (uint32).
 * @returns how many of the values are 1, and where the hybrid ends
 */
export function checkPrefixedHybrid(bytes: DataView, start: number, count: number): { readonly ones: number; readonly end: number } {
  const end = start + 4 + bytes.getUint32(start, true);
  checkCount("bytes of runs", end, bytes.byteLength);
  return { ones: checkHybrid(bytes, start + 4, end, 1, count), end };
}
