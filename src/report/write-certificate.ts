/** @file The page of a certificate, written into its folder. */
import type { Certificate } from "../certify/certificate.ts";
import { certifyPaths } from "../certify/folder.ts";
import { writeAtomically } from "../files/model-file.ts";
import { drawCertificate } from "./certificate.ts";

/** Draws `certificate.html` beside `certificate.json`, and returns its path. */
export async function writeCertificateHtml(
  folder: string,
  certificate: Certificate,
): Promise<string> {
  const { html } = certifyPaths(folder);
  await writeAtomically(html, [new TextEncoder().encode(drawCertificate(certificate))]);
  return html;
}
