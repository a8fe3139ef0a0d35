export interface SandboxPhoneConfig {
  kind: "whatsapp" | "twilio" | "telegram" | "messenger" | "instagram";
  /** The hub's name of the channel. */
  channel: string;
  /** The business's account at the provider. */
  account: string;
  /** The customer's own number there, or the id by which alone the platform tells her. */
  number: string;
  person: string;
}

export interface WebchatPhoneConfig {
  kind: "webchat";
  channel: string;
  site: string;
  person: string;
  /** Proof of who the visitor is, when the site asks for one. */
  identity?: Record<string, string>;
}

export type PhoneConfig = SandboxPhoneConfig | WebchatPhoneConfig;

/** "" is the customer, known by her number; of a platform that tells none, its kind: to the
 * hub that is somebody else, until something proves otherwise. */
export type Person = PhoneConfig["person"];

export interface DemoConfig {
  customer: { name: string; number: string; conversation_id?: string | null };
  phones: PhoneConfig[];
}

export interface Boot {
  config: DemoConfig;
}
