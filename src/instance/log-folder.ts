/** Where logs are in the state directory: a folder for each application, with a file for each replica. */
export const LOGS_FOLDER = "logs";
/** What the instance itself writes, in the state directory. */
export const LOG_FILE = `${LOGS_FOLDER}/instance.log`;
