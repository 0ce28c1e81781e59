/**
 * @file The one script of a page: buttons that copy commands. It asks nothing of the network, and the page's
 * policy allows this text and no other.
 */
import { createHash } from "node:crypto";

/** The buttons are hidden until it runs. Where there is no clipboard, the command is selected for Ctrl-C. */
export const copyScript = `
for (const button of document.querySelectorAll("button.copy")) {
  const code = button.parentElement.querySelector("code");
  button.hidden = false;
  button.addEventListener("click", async () => {
    let isCopied = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      isCopied = document.execCommand("copy");
    }
    button.textContent = isCopied ? "copied" : "press Ctrl-C";
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  });
}
`;

/** What a page's policy says of scripts: this one. */
export const scriptPolicy = `script-src 'sha256-${createHash("sha256").update(copyScript).digest("base64")}'`;
