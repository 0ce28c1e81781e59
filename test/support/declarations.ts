/** @file The declarations that a compiler made of the sources: what an entry exports, and which types that names. */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** Something that a file declares at its top: its text, and the names that it has from elsewhere. */
interface Declared {
  /** `FILE#NAME`, the file relative to the folder of all declarations. */
  readonly id: string;
  readonly isType: boolean;
  /** Ids of what its text names. */
  readonly names: readonly string[];
}

/** What one entry exports under one name. */
export interface Exported {
  /** As users write it; of a namespace's member `objectives.Objective`. */
  readonly name: string;
  readonly declared: Declared;
}

/** A file of declarations, parsed. */
interface Parsed {
  readonly statements: readonly string[];
  /** Where what it imports or passes on is declared, by the name it has here. */
  readonly imports: ReadonlyMap<string, Source>;
  readonly passedOn: readonly (Source & { readonly as: string })[];
  /** Modules that are exported as a namespace, by name. */
  readonly namespaces: ReadonlyMap<string, string>;
}

interface Source {
  readonly file: string;
  readonly name: string;
}

/** Reads declarations as they are asked for. */
export class Declarations {
  readonly #folder: string;
  readonly #parsed = new Map<string, Parsed>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Everything that an entry exports, such as `index.d.ts`. */
  exportsOf(entry: string): readonly Exported[] {
    const { passedOn, namespaces } = this.#read(entry);
    const own = this.#declaredIn(entry).map((declared) => ({
      name: nameIn(declared.id),
      declared,
    }));
    const passed = passedOn.map(({ file, name, as }) => ({
      name: as,
      declared: this.find(`${file}#${name}`),
    }));
    const members = [...namespaces].flatMap(([space, file]) =>
      this.#declaredIn(file).map((declared) => ({
        name: `${space}.${nameIn(declared.id)}`,
        declared,
      })),
    );
    return [...own, ...passed, ...members];
  }

  /** A declaration by its id. */
  find(id: string): Declared {
    const [file, name] = id.split("#");
    const text = this.#read(file).statements.filter((one) => nameOf(one) === name);
    if (text.length === 0) throw new Error(`${id} is not declared`);
    const { imports, statements } = this.#read(file);
    const local = new Set(statements.map(nameOf));
    const names = new Set(text.flatMap((one) => one.match(/\b[A-Za-z_$][\w$]*/g) ?? []));
    names.delete(name);
    return {
      id,
      isType: text.every((one) => /^(?:export )?(?:declare )?(?:interface|type) /.test(one)),
      names: [...names].flatMap((used) => {
        const source = imports.get(used);
        if (source !== undefined) return [`${source.file}#${source.name}`];
        // Names of parameters and properties begin with a small letter, as those of functions do.
        return local.has(used) && /^[A-Z]/.test(used) ? [`${file}#${used}`] : [];
      }),
    };
  }

  /** What a file itself exports. */
  #declaredIn(file: string): readonly Declared[] {
    const exported = this.#read(file).statements.filter((one) => one.startsWith("export "));
    return [...new Set(exported.map(nameOf))]
      .filter((name) => name !== "")
      .map((name) => this.find(`${file}#${name}`));
  }

  #read(file: string): Parsed {
    const known = this.#parsed.get(file) ?? parse(file, this.#textOf(file), this.#folder);
    this.#parsed.set(file, known);
    return known;
  }

  #textOf(file: string): string {
    return readFileSync(join(this.#folder, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
  }
}

/** The name after the `#` of an id. */
function nameIn(id: string): string {
  return id.slice(id.indexOf("#") + 1);
}

/** The name that a statement declares; `""` for imports and what passes on. */
function nameOf(statement: string): string {
  const found =
    /^(?:export )?(?:declare )?(?:abstract )?(?:interface|type|class|function|const|let) ([\w$]+)/.exec(
      statement,
    );
  return found?.[1] ?? "";
}

function parse(file: string, text: string, folder: string): Parsed {
  const statements = text.split(/^(?=(?:export|declare|interface|type|import) )/m);
  const imports = new Map<string, Source>();
  const passedOn: (Source & { readonly as: string })[] = [];
  const namespaces = new Map<string, string>();
  const fileOf = (path: string) =>
    relative(folder, join(folder, dirname(file), path)).replace(/\.[jt]s$/, ".d.ts");
  for (const statement of statements) {
    const space = /^export \* as (\w+) from "(\.[^"]+)"/.exec(statement);
    if (space !== null) namespaces.set(space[1], fileOf(space[2]));
    const list = /^(import|export)(?: type)? \{([^}]*)\} from "(\.[^"]+)"/.exec(statement);
    if (list === null) continue;
    for (const part of list[2].split(",").filter((one) => one.trim() !== "")) {
      const [name, as = name] = part
        .trim()
        .replace(/^type /, "")
        .split(" as ");
      const source = { file: fileOf(list[3]), name };
      if (list[1] === "import") imports.set(as, source);
      else passedOn.push({ ...source, as });
    }
  }
  return { statements, imports, passedOn, namespaces };
}
