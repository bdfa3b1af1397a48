//! The ABI as `tests/c/abi0.txt` has it: prototypes, numbers, sizes and offsets. Whoever changes
//! one sees it here.
//!
//! Within one ABI, functions and constants are only added, and structs that begin with `size` only
//! grow, at their end; then `CHANGEOVER_BLESS=1 cargo test --test capi abi` writes the file anew.
//! Anything else it refuses: it needs another number (`package.metadata.capi.library` in
//! Cargo.toml) and another file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::programs::{compile, run, tests_c};

/// What the header declares.
pub(crate) struct Header {
    /// Name, and the prototype.
    pub(crate) functions: BTreeMap<String, String>,
    /// Name, and fields in order: name and declaration.
    structs: BTreeMap<String, Vec<(String, String)>>,
    /// Types of functions.
    types: BTreeMap<String, String>,
    constants: BTreeMap<String, String>,
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(").replace(" )", ")")
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("/*") {
        out.push_str(&rest[..at]);
        rest = rest[at..].split_once("*/").expect("a comment ends").1;
    }
    out.push_str(rest);
    out.lines().map(|line| line.split("//").next().unwrap().to_owned() + "\n").collect()
}

/// `uint8_t reserved[6]` and `void (*on_end)(void *)` have a name.
fn name_of(declaration: &str) -> String {
    let name = match declaration.split_once("(*") {
        Some((_, rest)) => rest.split(')').next().unwrap(),
        None => declaration.split('[').next().unwrap().rsplit([' ', '*']).next().unwrap(),
    };
    name.trim().to_owned()
}

impl Header {
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/changeover.h");
        Self::parse(&fs::read_to_string(path).unwrap())
    }

    fn parse(text: &str) -> Self {
        let text = without_comments(text);
        let mut header = Self {
            functions: BTreeMap::new(),
            structs: BTreeMap::new(),
            types: BTreeMap::new(),
            constants: BTreeMap::new(),
        };
        let mut code = String::new();
        let mut continued = false;
        for line in text.lines() {
            let directive = line.starts_with('#') || continued;
            continued = directive && line.ends_with('\\');
            if let Some((name, value)) =
                line.strip_prefix("#define ").and_then(|rest| rest.split_once(' '))
            {
                // Versions of the library are no part of the ABI.
                if !name.starts_with("CHANGEOVER_VERSION") && !name.contains('(') {
                    header.constants.insert(name.to_owned(), value.trim().to_owned());
                }
            }
            if !directive && !line.starts_with("extern \"C\"") {
                code.push_str(line);
                code.push('\n');
            }
        }
        // From here on there are bodies of functions.
        let code = code.split("CHANGEOVER_INIT_(").next().unwrap();
        let mut rest = code;
        while let Some(end) = rest.find(';') {
            let at = match rest.find('{') {
                Some(open) if open < end => open + rest[open..].find('}').expect("a struct ends"),
                _ => 0,
            };
            let end = at + rest[at..].find(';').unwrap();
            header.declaration(&one_line(&rest[..end]));
            rest = &rest[end + 1..];
        }
        header
    }

    fn declaration(&mut self, text: &str) {
        if let Some(of) = text.strip_prefix("typedef struct ") {
            let (name, rest) = of.split_once(" {").expect("a struct's fields");
            let fields = rest.split('}').next().unwrap().split(';');
            let fields = fields.map(str::trim).filter(|field| !field.is_empty());
            let fields = fields.map(|field| (name_of(field), field.to_owned())).collect();
            self.structs.insert(name.to_owned(), fields);
        } else if text.starts_with("typedef ") {
            self.types.insert(name_of(text), text.to_owned());
        } else {
            let name = text.split('(').next().unwrap().rsplit([' ', '*']).next().unwrap();
            self.functions.insert(name.to_owned(), text.to_owned());
        }
    }

    /// A C program that prints how structs lie in memory.
    fn layout_program(&self) -> String {
        let mut text =
            "/* Made by tests/capi/abi.rs. */\n#include <changeover.h>\n#include <stdio.h>\n\
                        #define FIELD(type, name) printf(\"    %s: at %zu, %zu bytes\\n\", #name, \
                        offsetof(type, name), sizeof(((type *)0)->name))\n\nint main(void) {\n"
                .to_owned();
        for (name, fields) in &self.structs {
            let _ = writeln!(
                text,
                "    printf(\"struct {name}: %zu bytes, alignment %zu\\n\", sizeof({name}), _Alignof({name}));"
            );
            for (field, _) in fields {
                let _ = writeln!(text, "    FIELD({name}, {field});");
            }
        }
        text + "    return 0;\n}\n"
    }

    /// Everything, in a fixed order.
    fn text(&self, layout: &str) -> String {
        let mut text = format!(
            "ABI 0 of libchangeover on 64-bit Linux. Made by tests/capi/abi.rs, which says what may change.\n\n{layout}\n"
        );
        for (name, fields) in &self.structs {
            for (_, declaration) in fields {
                let _ = writeln!(text, "{name}: {declaration}");
            }
        }
        text.push('\n');
        for (name, value) in &self.constants {
            let _ = writeln!(text, "{name} = {value}");
        }
        text.push('\n');
        for line in self.types.values().chain(self.functions.values()) {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

#[test]
#[cfg(all(target_pointer_width = "64", target_os = "linux"))]
fn abi_0_is_frozen() {
    let header = Header::read();
    assert!(header.structs.len() > 20, "{:?}", header.structs.keys());
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout.c");
    fs::write(&source, header.layout_program()).unwrap();
    let [first, second] = ["gcc", "clang"].map(|compiler| {
        run(&compile(compiler, &[&["-std=c11"]], std::slice::from_ref(&source), "layout"), &[])
    });
    assert_eq!(first, second, "gcc and clang");
    assert_eq!(header.constants["CHANGEOVER_ABI_VERSION"], "0", "another ABI: another file");
    let made = header.text(&first);
    let path = tests_c().join("abi0.txt");
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let broken = broken(&committed, &made);
    assert!(broken.is_empty(), "programs of ABI 0 would break:\n- {}", broken.join("\n- "));
    if std::env::var_os("CHANGEOVER_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let gone: Vec<&str> =
        committed.lines().filter(|line| !made.lines().any(|now| now == *line)).collect();
    let new: Vec<&str> =
        made.lines().filter(|line| !committed.lines().any(|then| then == *line)).collect();
    assert!(
        made == committed,
        "ABI 0 has changed (see the head of tests/capi/abi.rs).\n- {}\n+ {}",
        gone.join("\n- "),
        new.join("\n+ ")
    );
}

/// The lines that are gone or stand elsewhere. The size of a struct may rise if it begins with it.
fn broken(then: &str, now: &str) -> Vec<String> {
    let keys = |text: &str| -> Vec<(String, usize)> {
        let lines: Vec<&str> = text.lines().collect();
        let key = |(at, line): (usize, &&str)| {
            let grows = lines.get(at + 1) == Some(&"    size: at 0, 8 bytes");
            match line.split_once(": ") {
                Some((name, rest)) if name.starts_with("struct ") && grows => {
                    let (size, rest) = rest.split_once(" bytes").unwrap();
                    (format!("{name}:{rest}"), size.parse().unwrap())
                }
                _ => ((*line).to_owned(), 0),
            }
        };
        lines.iter().enumerate().map(key).collect()
    };
    let mut now = keys(now).into_iter();
    let mut broken = Vec::new();
    for (line, size) in keys(then) {
        let rest = now.clone();
        // In order, so that a field is found in its own struct.
        if !now.any(|(other, grown)| other == line && grown >= size) {
            broken.push(format!("{line} {size}"));
            now = rest;
        }
    }
    broken
}

#[test]
fn abi_0_may_grow_and_nothing_else() {
    let then = "struct a: 16 bytes, alignment 8\n    size: at 0, 8 bytes\n    b: at 8, 8 bytes\nA = 1\nint f(a b)\n";
    let with = |from: &str, to: &str| broken(then, &then.replace(from, to)).len();
    assert_eq!(with("A = 1", "A = 1\nB = 2"), 0);
    assert_eq!(with("int f", "int e(void)\nint f"), 0);
    let grown = then.replace("16 bytes", "24 bytes").replace("\nA", "\n    c: at 16, 8 bytes\nA");
    assert!(broken(then, &grown).is_empty());
    assert_eq!(broken(&grown, then).len(), 2, "it shrinks");
    assert_eq!(with("A = 1\n", ""), 1);
    assert_eq!(with("A = 1", "A = 2"), 1);
    assert_eq!(with("f(a b)", "f(a *b)"), 1);
    assert_eq!(with("b: at 8", "b: at 16"), 1);
    assert_eq!(with("alignment 8", "alignment 16"), 1);
    let handle = then.replace("size", "raw");
    assert_eq!(broken(&handle, &handle.replace("16 bytes", "24 bytes")).len(), 1, "it has no size");
}

#[test]
fn abi_headers_are_read_whole() {
    let header = Header::parse(
        "/* a; */\n#x\n#define CHANGEOVER_A (-1)\n#define M(a) \\\n  int b(a);\ntypedef struct s {\n  // x;\n  \
         void (*f)(int a, char *b); // y\n  char n[3];\n} s;\ntypedef int (*t)(s a);\nint\n  g(s *a,\n  int b);\n\
         CHANGEOVER_INIT_(s)\nstatic inline int h(void) { return 1; }\n",
    );
    assert_eq!(header.functions["g"], "int g(s *a, int b)");
    assert_eq!(header.functions.len(), 1);
    assert_eq!(header.constants["CHANGEOVER_A"], "(-1)");
    assert_eq!(header.types["t"], "typedef int (*t)(s a)");
    let fields: Vec<&str> = header.structs["s"].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(fields, ["f", "n"]);
}
