// The shapes of the hub's REST API and live updates that these pages read. Values a page
// does not know are accepted: every union of words ends in string.

export type ChannelKind = "whatsapp" | "twilio" | "webchat" | (string & {});

export interface Media {
  kind: string;
  mime: string;
  name: string;
  size: number | null;
  url: string | null;
  state: "pending" | "stored" | "failed" | "refused" | (string & {});
}

export interface Button {
  id: string;
  title: string;
  url?: string | null;
}

export type State =
  | "received"
  | "queued"
  | "held"
  | "sending"
  | "unknown"
  | "sent"
  | "delivered"
  | "read"
  | "failed"
  | "cancelled"
  | (string & {});

export interface Author {
  kind: "customer" | "bot" | "agent" | "system" | (string & {});
  id: string | null;
  name: string | null;
}

export interface Message {
  id: string;
  seq: number;
  conversation_id: string;
  direction: "in" | "out" | "note";
  author: Author;
  channel: string | null;
  address: { channel: string; external_id: string } | null;
  kind: string;
  text: string;
  media: Media[];
  buttons: Button[];
  choice: { type: string; id: string; title: string } | null;
  place: {
    latitude: number;
    longitude: number;
    name: string;
    address: string;
  } | null;
  contacts: { name: string; phones: string[] }[];
  reply_to: { message_id: string | null; quote: string } | null;
  edited_at: string | null;
  deleted_at: string | null;
  client_id: string | null;
  part: { group: string; index: number; count: number } | null;
  state: State | null;
  error: { code: string; class: string; reason: string } | null;
  sent_at: string | null;
  created_at: string;
}

export interface Conversation {
  id: string;
  customer: { id: string; name: string };
  status: string;
  owner: {
    kind: "bot" | "queue" | "agent" | (string & {});
    id: string | null;
    name: string | null;
  };
  unread: number;
  channels: string[];
}

export interface Customer {
  id: string;
  name: string;
  addresses: { channel: string; kind: string; external_id: string }[];
  conversation_id: string | null;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Change {
  kind: "message" | "receipt" | "edit" | "owner" | "status" | "customer" | (string & {});
  conversation_id: string;
  message: Message | null;
  conversation: Conversation | null;
}

export type LiveFrame =
  | { type: "welcome"; cursor: string }
  | { type: "resync"; cursor: string }
  | { type: "changes"; cursor: string; items: Change[] }
  | { type: "ping" }
  | { type: "typing" };
