#!/usr/bin/env python3
"""Writes src/policy/sql/children.rs: which nodes hang below each kind of node of a parse tree.

    children.py OUT_DIR src/policy/sql/children.rs

OUT_DIR is what pg_raw_parse's build script has written: target/*/build/pg_raw_parse-*/out.
"""
import re
import sys

# Lists that hold other nodes than the crate says they do: looking at one panics.
MISTYPED = {("GrantStmt", "objects"), ("CreateStatsStmt", "relations")}


def methods_by_type(source):
    methods = {}
    for impl in re.finditer(r"^impl (\w+) \{\n(.*?)^\}\n", source, re.M | re.S):
        for method in re.finditer(r"pub fn (\w+)\(\s*&self,?\s*\) -> (.*?) \{\n", impl[2], re.S):
            methods.setdefault(impl[1], []).append((method[1], re.sub(r"\s+", "", method[2])))
    return methods


def push(name, returned):
    if returned == "crate::Node<'_>" or returned == "&'_crate::list::NodeList":
        if returned.startswith("&"):
            return f"each(x.{name}().into_iter(), push);"
        return f"one(x.{name}(), push);"
    if returned.startswith("&'_crate::list::CastNodeList<"):
        return f"each(x.{name}().iter().map(Node::from), push);"
    if returned.startswith(("Option<&'_crate::nodes::", "Option<Option<&")):
        return f"each(x.{name}().into_iter().map(Node::from), push);"
    if re.match(r"Option<&'_str>|Option<crate::const_val", returned):
        return None
    sys.exit(f"what is a {returned}, as of {name}?")


def main(out_dir, target):
    with open(f"{out_dir}/nodes_raw.rs") as file:
        methods = methods_by_type(file.read())
    with open(f"{out_dir}/node_enum_raw.rs") as file:
        enum = file.read()
    body = enum[enum.index("pub enum Node<'a> {"):]
    body = body[: body.index("\n}\n")]
    variants = re.findall(r"^    (\w+)\(\s*&'a nodes::", body, re.M)
    arms, leaves, statements = [], [], []
    for variant in variants:
        if variant.endswith("Stmt"):
            statements.append(variant)
        pushes = [
            push(name, returned)
            for name, returned in methods.get(variant, [])
            if (variant, name) not in MISTYPED
        ]
        pushes = [line for line in pushes if line]
        if not pushes:
            leaves.append(variant)
        elif len(pushes) == 1:
            arms.append(f"        Node::{variant}(x) => {pushes[0].rstrip(';')},")
        else:
            arms.append(f"        Node::{variant}(x) => {{")
            arms += [f"            {line}" for line in pushes]
            arms.append("        }")
    with open(target, "w") as file:
        file.write(HEAD)
        file.write("\n".join(arms))
        file.write("\n        Node::None\n")
        file.write("\n".join(f"        | Node::{leaf}(_)" for leaf in leaves))
        file.write(" => {}\n    }\n    Ok(())\n}\n")
        file.write(STATEMENTS)
        file.write("\n".join(f"            | Node::{name}(_)" for name in statements)[14:])
        file.write("\n    )\n}\n")


HEAD = """\
//! Which nodes hang below a node. Written by integration/access/children.py; do not edit.

use pg_raw_parse::Node;

use super::UnknownNode;

/// Hands every node right below `node` to `push`. A kind of node that is new in the parser does
/// not compile.
pub(super) fn children<'a>(
    node: Node<'a>,
    push: &mut impl FnMut(Node<'a>),
) -> Result<(), UnknownNode> {
    match node {
        Node::Invalid(_) => return Err(UnknownNode),
        Node::NodeList(x) => each(x.into_iter(), push),
"""

STATEMENTS = """
fn one<'a>(node: Node<'a>, push: &mut impl FnMut(Node<'a>)) {
    if !matches!(node, Node::None) {
        push(node);
    }
}

fn each<'a>(nodes: impl Iterator<Item = Node<'a>>, push: &mut impl FnMut(Node<'a>)) {
    for node in nodes {
        one(node, push);
    }
}

/// Whether a node is a statement, or a part that is called one.
pub(super) fn is_statement(node: Node<'_>) -> bool {
    matches!(
        node,
        """

if __name__ == "__main__":
    main(*sys.argv[1:])
