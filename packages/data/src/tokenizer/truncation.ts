/**
 * The lengths that two texts keep so that together they have at most `room` tokens: the longer loses first; where both must be cut, the shorter keeps
 * ⌊room/2⌋ and the longer ⌈room/2⌉ (the first text counts as the shorter one of equals).
 * Source: `truncate_encodings`, strategy LongestFirst, of Hugging Face tokenizers (Rust); the slow Python tokenizers give the odd token to the first of two equals.
 */
export function longestFirst(first: number, second: number, room: number): readonly [number, number] {
  if (first + second <= room) return [first, second];
  const swapped = first > second;
  let shorter = swapped ? second : first;
  let longer = shorter > room ? shorter : Math.max(shorter, room - shorter);
  if (shorter + longer > room) {
    shorter = Math.floor(room / 2);
    longer = shorter + (room % 2);
  }
  return swapped ? [longer, shorter] : [shorter, longer];
}
