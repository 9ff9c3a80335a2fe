/** A Thrift struct: integers, booleans (1 and 0) and structs by field number; its other values are passed over. */
export interface Struct {
  readonly [field: number]: number | Struct;
}

/** The compact protocol's types. */
const [TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12];

/**
 * Reads structs of Thrift's compact protocol, and the variable-length numbers that Parquet shares with it. Running out of bytes is a RangeError.
 * Source: apache/thrift, thrift-compact-protocol.md.
 */
export class CompactReader {
  offset: number;
  readonly #bytes: DataView;

  constructor(bytes: DataView, offset = 0) {
    this.#bytes = bytes;
    this.offset = offset;
  }

  /** A struct whose fields must stand in rising order. */
  struct(depth = 0): Struct {
    if (depth > 8) throw new RangeError("a page header nested more than 8 deep");
    const fields: Record<number, number | Struct> = {};
    let field = 0;
    for (let byte = this.byte(); (byte & 15) !== 0; byte = this.byte()) {
      const next = byte >> 4 === 0 ? this.#zigzag() : field + (byte >> 4);
      if (next <= field) throw new RangeError(`field ${next} after field ${field} in a page header`);
      field = next;
      const value = this.#value(byte & 15, depth);
      if (value !== undefined) fields[field] = value;
    }
    return fields;
  }

  byte(): number {
    return this.#bytes.getUint8(this.offset++);
  }

  /** An unsigned LEB128 number; exact up to 2⁵³, of at most ten bytes. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new RangeError("a number of more than ten bytes");
  }

  #zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  #value(type: number, depth: number): number | Struct | undefined {
    switch (type) {
      case TRUE:
        return 1;
      case FALSE:
        return 0;
      case BYTE:
        return this.byte();
      case I16:
      case I32:
      case I64:
        return this.#zigzag();
      case DOUBLE:
        this.offset += 8;
        return undefined;
      case BINARY: {
        const length = this.varint();
        this.offset += length;
        return undefined;
      }
      case LIST:
        this.#list(depth);
        return undefined;
      case STRUCT:
        return this.struct(depth + 1);
      default:
        throw new RangeError(`a field of type ${type} in a page header`);
    }
  }

  #list(depth: number): void {
    const byte = this.byte();
    const size = byte >> 4 === 15 ? this.varint() : byte >> 4;
    const type = byte & 15;
    for (let i = 0; i < size; i++) this.#value(type === TRUE || type === FALSE ? BYTE : type, depth + 1);
  }
}

/**
 * Checks a count that a file claims.
 * @throws RangeError unless it is a number from 0 to `limit`
 */
export function checkCount(what: string, value: number | Struct | undefined, limit: number): number {
  if (typeof value !== "number" || !(value >= 0 && value <= limit)) throw new RangeError(`${typeof value === "number" ? value : "no number of"} ${what}`);
  return value;
}
