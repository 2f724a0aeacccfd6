#!/usr/bin/env python3
"""What the documents name exists in the program, and the other way round: docs.py BUILD [CASE…]

Events, metrics and the fields of clatctl are compared by unit tests (unit_log, unit_render), with the values at hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BUILD = Path(sys.argv[1]).resolve()
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def text(name: str) -> str:
    return (ROOT / name).read_text()


def section(manual: str, title: str) -> str:
    found = re.search(rf"^\.Sh {title}$(.*?)(?=^\.Sh |\Z)", text(f"docs/{manual}"), re.MULTILINE | re.DOTALL)
    assert found, f"{manual} has no section {title}"
    return found[1]


def ask(*argv: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=20)


def help_of(program: str) -> str:
    return ask(BUILD / "bin" / program, "--help").stdout


def keys_of_the_program() -> set[str]:
    """From the tables by which the config is read: each row begins with its key."""
    tables = re.findall(
        r"^constexpr std::array<[^;=]*?> k\w*Keys\{\{$(.*?)^\}\};", "".join(text(f"config/{name}.cpp") for name in ("schema", "interface_schema", "sources")),
        re.MULTILINE | re.DOTALL)
    return {key for table in tables for key in re.findall(r'^    \{"([a-z0-9-]+)",', table, re.MULTILINE)}


class ConfigKeys(unittest.TestCase):
    def setUp(self) -> None:
        self.program = keys_of_the_program()
        # A table that is written otherwise would go unseen.
        self.assertGreater(len(self.program), 45)
        for one in ("interfaces", "nat64-prefix", "metric", "stable-after", "servers", "masquerade", "group", "only"):
            self.assertIn(one, self.program)

    def test_config_md(self) -> None:
        page = text("docs/config.md")
        rows = {part for name in re.findall(r"^\| `([a-z0-9.-]+)` \|", page, re.MULTILINE) for part in name.split(".")}
        sections = set(re.findall(r"^## ([a-z-]+)$", page, re.MULTILINE))
        inside = set(re.findall(r"[{ ]([a-z0-9-]+): ", page))
        self.assertEqual(self.program - rows - sections - inside, set(), "keys that the page does not have")
        self.assertEqual(rows - self.program, set(), "rows that are no keys")

    def test_manual(self) -> None:
        page = text("docs/clatvisor.yaml.5")
        items = set(re.findall(r"^\.It Cm ([a-z0-9-]+)", page, re.MULTILINE))
        named = items | set(re.findall(r"\b([a-z0-9-]+)(?= No:| Ns :|: )", page)) | set(re.findall(r"Cm ([a-z0-9-]+)", page))
        self.assertEqual(self.program - named, set(), "keys that the manual does not have")
        self.assertEqual(items - self.program, set(), "items that are no keys")

    def test_openwrt(self) -> None:
        """What a config on OpenWrt becomes are keys."""
        script = text("config/openwrt/files/uci-to-yaml")
        made = set(re.findall(r"^\s*(?:\w+ )?[\"']?([a-z0-9-]+): ", script, re.MULTILINE))
        self.assertTrue(made, "the script writes no keys that this test sees")
        self.assertEqual(made - self.program, set())


class Examples(unittest.TestCase):
    def test_every_config_is_right(self) -> None:
        seen = 0
        with tempfile.TemporaryDirectory() as folder:
            for page in PAGES:
                for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL), 1):
                    config = block if re.search("^interfaces:", block, re.MULTILINE) else "interfaces: {wan0: {}}\n" + block
                    file = Path(folder) / "clatvisor.yaml"
                    # Groups of the packages, and somebody's hooks, are not on this machine.
                    config = re.sub(r", group: \w+", "", config)
                    file.write_text(re.sub(r"(on-up|on-down): \[[^]]*\]", r"\1: [/bin/true]", config))
                    done = ask(BUILD / "bin/clatvisor", "--check", "--config", file)
                    self.assertEqual(done.returncode, 0, f"{page.name}, block {number}:\n{done.stderr}\n{block}")
                    seen += 1
        self.assertGreater(seen, 5)


class Commands(unittest.TestCase):
    def setUp(self) -> None:
        listed = help_of("clatctl").split("default socket")[0]
        self.commands = set(re.findall(r"^  ([a-z]+)\b", listed, re.MULTILINE))
        self.assertIn("explain", self.commands)

    def test_manual(self) -> None:
        self.assertEqual(set(re.findall(r"^\.It Cm ([a-z]+)", section("clatctl.1", "DESCRIPTION"), re.MULTILINE)), self.commands)

    def test_completion(self) -> None:
        zsh = next((ROOT / "config/completion").glob("_*")).read_text()
        self.assertEqual(set(re.findall(r"^    '([a-z]+):", zsh, re.MULTILINE)), self.commands)
        bash = next(path for path in (ROOT / "config/completion").iterdir() if not path.name.startswith("_")).read_text()
        for command in self.commands:
            self.assertRegex(bash, rf"\b{command}\b")

    def test_each_is_known_to_the_program(self) -> None:
        """Without a clatvisor: 69. What is no command: 64."""
        for command in (*self.commands, "nonsense"):
            words = {"show": ["wan0", "state"], "restart": ["wan0"]}.get(command, [])
            done = ask(BUILD / "bin/clatctl", "-s", "/nonexistent/socket", command, *words)
            self.assertEqual(done.returncode, 64 if command == "nonsense" else 69, command + done.stderr)

    def test_pages_name_no_other(self) -> None:
        for page in PAGES:
            for command in re.findall(r"`clatctl ([a-z]+)", page.read_text()):
                self.assertIn(command, self.commands, page.name)


class ExitCodes(unittest.TestCase):
    def codes(self, help_text: str) -> set[str]:
        return set(re.findall(r"\b(\d+) [a-z/]", help_text[help_text.index("Exit codes") :]))

    def test_clatctl(self) -> None:
        named = self.codes(help_of("clatctl"))
        self.assertEqual(set(re.findall(r"^\.It (\d+)", section("clatctl.1", "EXIT STATUS"), re.MULTILINE)), named)
        constants = re.search(r"kOk = 0,(.*?)\}", text("supervisor/ctl/request.hpp"), re.DOTALL)[0]
        self.assertEqual(set(re.findall(r"= (\d+),", constants)), named)

    def test_clatvisor(self) -> None:
        named = self.codes(help_of("clatvisor"))
        self.assertEqual(set(re.findall(r"^\.It (\d+)", section("clatvisor.8", "EXIT STATUS"), re.MULTILINE)), named)
        page = text("docs/config.md")
        self.assertEqual(set(re.findall(r"^\| (\d+) \|", page[page.index("| exit code |") :], re.MULTILINE)), named)


class Options(unittest.TestCase):
    def test_of_each_program(self) -> None:
        for program, manual in (("clatvisor", "clatvisor.8"), ("clatctl", "clatctl.1"), ("clatd", "clatd.8")):
            told = help_of(program)
            options = set(re.findall(r"(?<![\w-])--([a-z0-9-]+)", told))
            self.assertTrue(options, program)
            page = text(f"docs/{manual}")
            named = set(re.findall(r"Fl (?:\w , )?-([a-z0-9-]+)", page))
            self.assertEqual(options - named, set(), f"{manual} lacks them")
            self.assertEqual(named - options, set(), f"{manual} has them, {program} --help has not")


class Tests(unittest.TestCase):
    def test_that_a_page_names_exist(self) -> None:
        """As evidence: Suite.Name of GoogleTest, or test_file.Class.test_name of tests/netns."""
        sources = "".join(file.read_text() for file in (ROOT / "tests").rglob("*_test.cpp"))
        known = {f"{suite}.{name}" for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", sources, re.MULTILINE)}
        named = re.findall(r"`([A-Za-z0-9_]+(?:\.\w+)*)`", re.sub(r"^## Not done.*", "", text("docs/rfc.md"), flags=re.DOTALL | re.MULTILINE))
        seen = 0
        for each in named:
            words = each.split(".")
            if each.startswith("test_"):
                module = text(f"tests/netns/{words[0]}.py")
                for kind, word in zip(("class", "def"), words[1:]):
                    self.assertRegex(module, rf"\b{kind} {word}\b", each)
            elif len(words) == 2 and words[0][0].isupper():
                self.assertIn(each, known)
            else:
                continue
            seen += 1
        self.assertGreater(seen, 25)


class Links(unittest.TestCase):
    def test_lead_somewhere(self) -> None:
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#: ]+)(?:#[^)]*)?\)", page.read_text()):
                self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")

    def test_to_headings_lead_to_one(self) -> None:
        for page in PAGES:
            for target, anchor in re.findall(r"\]\(([^)#: ]*)#([^)]+)\)", page.read_text()):
                headings = re.findall(r"^#+ (.*)$", (page.parent / target if target else page).read_text(), re.MULTILINE)
                anchors = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
                self.assertIn(anchor, anchors, f"{page.name}: {target}#{anchor}")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
