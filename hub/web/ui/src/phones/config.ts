export interface SandboxPhoneConfig {
  kind: "whatsapp" | "twilio";
  /** The hub's name of the channel. */
  channel: string;
  /** The business's account at the provider. */
  account: string;
  /** The customer's own number there. */
  number: string;
}

export interface WebchatPhoneConfig {
  kind: "webchat";
  channel: string;
  site: string;
  /** Proof of who the visitor is, when the site asks for one. */
  identity?: Record<string, string>;
}

export type PhoneConfig = SandboxPhoneConfig | WebchatPhoneConfig;

export interface DemoConfig {
  customer: { name: string; number: string; conversation_id?: string | null };
  phones: PhoneConfig[];
}

export interface Boot {
  config: DemoConfig;
}
