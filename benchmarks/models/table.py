"""Markdown tables, and the lines that say what they were measured with."""

import os
import pathlib
import platform

import wcodec


def markdown(header, rows):
    """A Markdown table, columns of figures aligned to the right."""
    columns = zip(*rows)
    rules = ["---:" if all(str(cell)[:1] in "+-0123456789" for cell in column) else "---" for column in columns]
    lines = [header, rules, *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def processor():
    """Model name of the processor and number of its cores."""
    information = pathlib.Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def provenance():
    """One paragraph: version, processor, operating system."""
    version = wcodec.run("--version").strip()
    return f"wcodec {version}; {processor()}; {platform.system()}, Python {platform.python_version()}.\n"
