import { scriptOf } from "../core/i18n";

const LINK = /(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]।])/g;

/** Text as typed, its web addresses as links. Never HTML: every piece is a text node. */
export function RichText({ text }: { text: string }) {
  return (
    <p class="text" dir="auto" lang={scriptOf(text)}>
      {text.split(LINK).map((piece, index) =>
        index % 2 === 1 ? (
          <a key={piece} href={piece} target="_blank" rel="noopener noreferrer nofollow">
            {piece}
          </a>
        ) : (
          piece
        ),
      )}
    </p>
  );
}
