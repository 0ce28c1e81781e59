/** @file The names of the procedures by which a drop is judged. */

/**
 * How a drop is tested: once, on all images; at looks declared beforehand, which may end early; or after every image,
 * for data that grow.
 */
export const procedures = ["looks", "fixed", "anytime"] as const;

/** One of {@link procedures}. */
export type Procedure = (typeof procedures)[number];
