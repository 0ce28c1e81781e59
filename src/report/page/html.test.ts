/** @file Escaping: what files bring stays text. */
import { describe, expect, it } from "vitest";
import { escapeHtml, html, join, nameOf, plainName, trusted } from "./html.ts";

describe("a template", () => {
  it("escapes values and keeps pieces", () => {
    const piece = html`<b>${"1 < 2"}</b>`;
    expect(
      html`<p title="${`"x'`}">${piece}${[1, trusted("<br>")]}${undefined}${false}</p>`.html,
    ).toBe(`<p title="&#34;x&#39;"><b>1 &#60; 2</b>1<br></p>`);
  });

  it("takes an object that looks like a piece for one only by its own type", () => {
    expect(join(["a", "b", "c"], ", ")).toEqual(["a", ", ", "b", ", ", "c"]);
  });
});

describe("names", () => {
  it.each([
    ["a<b>&\"'", "a&#60;b&#62;&#38;&#34;&#39;"],
    ["\u202egnp.exe", "\\u202egnp.exe"],
    ["a\u0000b\nc", "a\\x00b\\nc"],
    ["\ud800", "\\ud800"],
    ["größe 漢字 🙂", "größe 漢字 🙂"],
  ])("%j reads %s", (name, expected) => {
    expect(escapeHtml(name)).toBe(expected);
  });

  it("are shortened in their middle", () => {
    expect(plainName(`a${"x".repeat(10_000)}z`, 9)).toBe("axxx…xxxz");
    expect(nameOf("<".repeat(100), 5).html).toBe("<code>&#60;&#60;…&#60;&#60;</code>");
  });
});
