import { expect, it } from "vitest";
import { segmentsOf } from "../src/core/segments";

const many = (sign: string, count: number) => sign.repeat(count);

it.each([
  ["nothing", "", "GSM-7", 0, 0, 160],
  ["one part of GSM-7", many("a", 160), "GSM-7", 160, 1, 0],
  ["one sign more makes two", many("a", 161), "GSM-7", 161, 2, 145],
  ["an extension sign counts twice", many("€", 80), "GSM-7", 160, 1, 0],
  ["an escape pair does not straddle", `${many("a", 152)}€${many("a", 10)}`, "GSM-7", 164, 2, 141],
  ["one part of UCS-2", many("ক", 70), "UCS-2", 70, 1, 0],
  ["one sign more of UCS-2", many("ক", 71), "UCS-2", 71, 2, 63],
  ["an emoji does not straddle", `${many("ক", 66)}😀ককক`, "UCS-2", 71, 2, 62],
  ["a curly quote turns all to UCS-2", "it’s", "UCS-2", 4, 1, 66],
  ["a backtick is outside GSM-7", "`", "UCS-2", 1, 1, 69],
  ["Greek capitals are inside", "ΔΦΓ@£", "GSM-7", 5, 1, 155],
])("%s", (_, text, encoding, units, parts, left) => {
  expect(segmentsOf(text)).toMatchObject({ encoding, units, parts, left });
});
