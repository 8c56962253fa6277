#!/usr/bin/env python3
"""Prints a manual page:   page.py pgwarden.1 PROGRAM   or   page.py pgwarden.toml.5

pgwarden(1) is what the program says of itself, pgwarden.toml(5) what conf/reference.toml says:
neither is written twice.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def version():
    manifest = (ROOT / "Cargo.toml").read_text()
    return re.search(r'^version = "(.*)"', manifest, re.M)[1]


def escaped(text):
    """Text as roff has it: no line begins with a control character."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.M)


def verbatim(text):
    return f".nf\n{escaped(text.rstrip())}\n.fi\n"


def head(name, section, title):
    return (
        f'.TH {name.upper()} {section} "" "pgwarden {version()}"\n'
        f".SH NAME\n{name} \\- {title}\n"
    )


def help_of(program, *subcommand):
    asked = subprocess.run(
        [program, *subcommand, "--help"], check=True, capture_output=True, text=True
    )
    return asked.stdout


def pgwarden_1(program):
    subcommands = re.findall(r"^  ([a-z]+)  ", help_of(program).split("Commands:")[1], re.M)
    pages = [
        head("pgwarden", 1, "PostgreSQL connection pooler with access control"),
        ".SH SYNOPSIS\n.B pgwarden\n[options] FILE\n.br\n.B pgwarden\nSUBCOMMAND ...\n",
        ".SH DESCRIPTION\n",
        escaped(
            "Serves PostgreSQL's clients with few connections to its servers. FILE is\n"
            "pgwarden.toml(5), or PgBouncer's pgbouncer.ini: then everything is as PgBouncer\n"
            "has it.\n"
        ),
        ".PP\n",
        verbatim(help_of(program)),
    ]
    for name in subcommands:
        if name != "help":
            pages += [f'.SH "PGWARDEN {name.upper()}"\n', verbatim(help_of(program, name))]
    pages += [
        ".SH SIGNALS\n",
        *(
            f".TP\n.B {name}\n{escaped(text)}\n"
            for name, text in [
                ("SIGHUP", "Reloads the file, whole or not at all, and opens log files anew."),
                ("SIGTERM", "No new clients; ends when the last one has left."),
                ("SIGINT", "No new clients; ends after running transactions."),
                ("SIGQUIT", "Ends at once, as does a second SIGTERM or SIGINT."),
                ("SIGUSR1", "PAUSE."),
                ("SIGUSR2", "RESUME."),
            ]
        ),
        ".SH FILES\n.TP\n.I /etc/pgwarden/pgwarden.toml\nThe configuration of the service.\n",
        ".SH SEE ALSO\n.BR pgwarden.toml (5)\n",
    ]
    return "".join(pages)


def pgwarden_toml_5():
    lines = (ROOT / "conf" / "reference.toml").read_text().splitlines()
    out = [
        head("pgwarden.toml", 5, "configuration of the connection pooler pgwarden"),
        ".SH DESCRIPTION\n",
    ]
    comment = []

    def flush():
        if comment:
            text = "\n".join(comment)
            # What is set in columns stays so.
            aligned = any(re.search(r"\S {2,}\S", line) for line in comment)
            out.append(verbatim(text) if aligned else f"{escaped(text)}\n")
            comment.clear()

    for line in lines:
        bare = line.removeprefix("#")
        is_key = bare[:1].isalpha() and bare[:1].islower() and " = " in bare
        if bare.startswith("[") and not line.startswith("# "):
            title = bare.split("#")[0].strip()
            # The words above a table are its own.
            words, comment[:] = list(comment), []
            out.append(f'.SH "{escaped(title)}"\n')
            comment.extend(words)
            flush()
        elif is_key and not line.startswith("# "):
            key, value = bare.split(" = ", 1)
            value = value.split("# example")[0].strip()
            shown = "e.g. " if "# example" in bare else "default "
            out.append(f".TP\n.B {escaped(key.strip())}\n({shown}{escaped(value)})\n")
        elif line.startswith("# "):
            comment.append(line[2:])
        elif line in ("#", ""):
            flush()
            out.append(".PP\n")
    flush()
    out.append(".SH SEE ALSO\n.BR pgwarden (1)\n")
    return "".join(out)


def main():
    match sys.argv[1:]:
        case ["pgwarden.1", program]:
            print(pgwarden_1(program), end="")
        case ["pgwarden.toml.5", *_]:
            print(pgwarden_toml_5(), end="")
        case _:
            sys.exit(__doc__)


main()
