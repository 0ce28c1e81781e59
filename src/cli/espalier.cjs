#!/usr/bin/env node
/**
 * @file The `espalier` command as it is installed. It looks at Node's version before anything is loaded that an old
 * one cannot read, and so holds nothing itself that is newer than Node 10.
 */

/** The oldest version that will do. */
const least = [20, 19];

/**
 * What to tell whoever runs this on a version that is too old.
 * @param {string} version as Node gives it: `v18.20.4`
 * @returns {string | undefined}
 */
function complaintAbout(version) {
  const [major, minor] = version.replace(/^v/, "").split(".").map(Number);
  if (major > least[0] || (major === least[0] && minor >= least[1])) return undefined;
  return (
    `error: Espalier needs Node ${least.join(".")} or newer, and this is Node ${version}.\n` +
    "hint: Install a newer Node from https://nodejs.org, or with a version manager: nvm install 22\n"
  );
}

const complaint = complaintAbout(process.version);
if (complaint === undefined) import("./main.js");
else {
  process.stderr.write(complaint);
  process.exitCode = 2;
}
