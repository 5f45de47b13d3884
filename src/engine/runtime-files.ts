/** What lies in the runtime directory of an instance for those who find it: where its controller listens. */
export const CONTROL_SOCKET = "c.sock";
/** The secret that lets one in. */
export const TOKEN_FILE = "token";
