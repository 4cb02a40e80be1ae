// Which pages may be read at all, and which only when the user says so once more.

const PRIVATE_NAMES = /(?:^|\.)(?:localhost|local|internal|intranet|lan|home|corp|private|home\.arpa)$/;

/**
 * Say what stands against reading a page.
 *
 * @returns null, or { code, ask }: with `ask`, the user may insist.
 */
export function refusal(address, { incognito = false, off = [] } = {}) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return { code: "unsupported", ask: false };
  }
  if (url.protocol === "file:") return { code: "file", ask: true };
  if (!["http:", "https:"].includes(url.protocol)) return { code: "unsupported", ask: false };
  if (off.includes(url.hostname)) return { code: "off", ask: false };
  if (isPrivate(url.hostname)) return { code: "intranet", ask: true };
  if (incognito) return { code: "incognito", ask: true };
  return null;
}

/** Say whether a host is reached only from within a house or a company. */
export function isPrivate(host) {
  const name = host.toLowerCase().replace(/\.$/, "");
  if (name.startsWith("[")) {
    const address = name.slice(1, -1);
    const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address);
    if (mapped) {
      const [a, b] = mapped.slice(1).map((x) => parseInt(x, 16));
      return isPrivate(`${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`);
    }
    return address === "::1" || address === "::" || /^f[cd][0-9a-f]{2}:|^fe[89ab][0-9a-f]:/.test(address);
  }
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name)) {
    const [a, b] = name.split(".").map(Number);
    return (
      a === 0 || a === 10 || a === 127 ||
      (a === 100 && b >= 64 && b < 128) || (a === 169 && b === 254) ||
      (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168)
    );
  }
  return !name.includes(".") || PRIVATE_NAMES.test(name);
}
