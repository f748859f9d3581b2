// How long a program for GPU machines may take, where machines are lent by the minute.

/** The seconds that an environment variable gives. Ends the program where it gives something else. */
export function secondsOf(variable: string, otherwise: number): number {
  const text = process.env[variable];
  const seconds = text ? Number(text) : otherwise;
  if (seconds > 0 && Number.isFinite(seconds)) return seconds;
  console.error(`${variable} is "${text}": give a number of seconds, such as ${otherwise}.`);
  process.exit(2);
}
