"""Writes random XML documents with their exclusive canonical form as libxml2 makes it, one JSON object per line.

usage: documents.py SEED COUNT

Each document comes whole and by one of its elements, with and without a list of inclusive prefixes.
"""

import json
import random
import sys

from lxml import etree

# No & in a namespace: libxml2 writes it unescaped into the canonical form, which is then no XML; ours escapes it, as the
# specification asks for attribute values.
URIS = ["urn:a", "urn:b", "http://example.test/c?x=1", "urn:c#d"]
PREFIXES = ["p", "q", "r-s", "_t", "ä"]
TEXTS = [
    "plain", " spaced  out ", "\n\tline\n", "&lt;&amp;&gt;\"'", "&#13;", "&#9;&#10;", "]]&gt;", "Төлем №42 — 3 932,00 ₸", "\r\n",
    "<![CDATA[<raw> & ]] > ]]>", "&#x1F4B3;", "", "<!-- note -->", "<?go now?>", "<?go?>", "<?go  spaced \r\n?>", "a\rb",
]
VALUES = [
    "1", "", " a  b ", "line\nbreak", "tab\there", "&#10;&#9;&#13;", "&lt;&gt;&amp;&quot;'", "Ә ғ", "cr\r\nlf", "x&#x20;y", "'",
]
NAMES = ["a", "b", "long-name", "_x", "б", "c.d"]


def element(rng, scope, depth):
    """One element; `scope` maps the prefixes in force to namespaces, "" being the default one."""
    scope = dict(scope)
    declared = {}
    for prefix in [""] + PREFIXES:
        if rng.random() < 0.2:
            declared[prefix] = rng.choice(URIS + ([""] if prefix == "" else []))
    scope.update(declared)
    known = [prefix for prefix in scope if prefix]
    name = rng.choice(NAMES)
    if known and rng.random() < 0.5:
        name = f"{rng.choice(known)}:{name}"
    attributes = {}
    seen = set()
    for _ in range(rng.choice([0, 0, 1, 2, 4])):
        local = rng.choice(NAMES)
        prefix = rng.choice(known + ["", "xml"]) if known else rng.choice(["", "xml"])
        uri = scope.get(prefix) if prefix else ""
        if (uri, local) in seen:
            continue
        seen.add((uri, local))
        attributes[f"{prefix}:{local}" if prefix else local] = rng.choice(VALUES)
    parts = [(f"xmlns:{p}" if p else "xmlns", uri.replace("&", "&amp;")) for p, uri in declared.items()]
    parts += list(attributes.items())
    rng.shuffle(parts)
    quote = lambda value: f'"{value}"' if "'" in value or rng.random() < 0.5 else f"'{value}'"
    space = lambda: rng.choice([" ", "  ", "\n", "\t"])
    tag = name + "".join(f"{space()}{key}{rng.choice(['', ' '])}={quote(value)}" for key, value in parts)
    children = []
    for _ in range(0 if depth > 6 else rng.choice([0, 0, 1, 2, 3])):
        children.append(rng.choice(TEXTS) if rng.random() < 0.5 else element(rng, scope, depth + 1))
    if not children and rng.random() < 0.5:
        return f"<{tag}{rng.choice(['', ' '])}/>"
    return f"<{tag}>{''.join(children)}</{name}{rng.choice(['', ' '])}>"


def document(rng):
    before = rng.choice(["", "", "<!-- before -->\n", "<?go first?>\n", "<?go?>  <?and again?>\n"])
    after = rng.choice(["", "\n", "\n<!-- after -->", "\n<?go last?>\n<?and done?>"])
    head = rng.choice(["", '<?xml version="1.0" encoding="UTF-8"?>\n', "<?xml version='1.0'?>\r\n"])
    return head + before + element(rng, {}, 0) + after


def main(seed, count):
    rng = random.Random(seed)
    made = 0
    while made < count:
        text = document(rng)
        root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False))
        if len(text) > 8000:
            continue
        elements = list(root.iter("*"))
        index = rng.randrange(len(elements))
        prefixes = rng.sample(PREFIXES, rng.choice([0, 1, 2]))
        c14n = lambda what, listed: etree.tostring(
            what, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=listed or None
        ).decode()
        print(json.dumps({
            "xml": text,
            "whole": c14n(root.getroottree(), []),
            "index": index,
            "prefixes": prefixes,
            "part": c14n(elements[index], []),
            "part_inclusive": c14n(elements[index], prefixes),
        }))
        made += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
