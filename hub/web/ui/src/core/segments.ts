const BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const EXTENDED = new Set("^{}\\[]~|€\f");

export interface Segments {
  encoding: "GSM-7" | "UCS-2";
  units: number;
  parts: number;
  /** Units that still fit into the last part. */
  left: number;
  /** What one part of this text holds. */
  per: number;
}

/** How an SMS text is cut (3GPP TS 23.038): 160 septets, or 153 for each of several parts;
 * 70 or 67 UTF-16 units once one character is outside GSM-7. An escape pair or a surrogate
 * pair never straddles two parts. */
export function segmentsOf(text: string): Segments {
  const signs = [...text];
  const gsm = signs.every((sign) => BASIC.has(sign) || EXTENDED.has(sign));
  const sizes = signs.map((sign) => (gsm ? (EXTENDED.has(sign) ? 2 : 1) : sign.length));
  const units = sizes.reduce((sum, size) => sum + size, 0);
  const [single, joined] = gsm ? [160, 153] : [70, 67];
  const encoding = gsm ? "GSM-7" : "UCS-2";
  if (units <= single) {
    return { encoding, units, parts: units === 0 ? 0 : 1, left: single - units, per: single };
  }
  let parts = 1;
  let filled = 0;
  for (const size of sizes) {
    if (filled + size > joined) {
      parts += 1;
      filled = 0;
    }
    filled += size;
  }
  return { encoding, units, parts, left: joined - filled, per: joined };
}
