"""The navigation of the site, and what is written into its pages, follow from the pages as they are."""

from docs.site.navigation import (
    Section,
    place_links,
    read_folder,
    read_navigation,
    read_sections,
    write_pictures,
    write_toctree,
)

INDEX = """# Index

Begin with the [home](../README.md).

**How it works**

| [One](one.md#part) | what? [Two](two/README.md) |

## Reference

[One](one.md) again, [Three](../three.md), [a file](file.toml), [elsewhere](https://example.org/page.md)

```
[no](link.md)
```
"""


def test_pages_stand_below_the_heading_that_names_them_first() -> None:
    assert read_sections(INDEX, "docs/README") == [
        Section("Index", []),
        Section("How it works", ["docs/one", "docs/two/README"]),
        Section("Reference", ["three"]),
    ]


def test_what_only_the_home_links_to_comes_last() -> None:
    home = "# Home\n\n[Index](docs/README.md) [Three](three.md) [Changes](CHANGES.md)\n"
    navigation = read_navigation(home, INDEX)
    assert navigation[0] == Section("", ["docs/README"])
    assert navigation[-1] == Section("Project", ["CHANGES"])


def test_an_index_of_a_folder_has_the_pages_of_its_folder_below_it() -> None:
    text = "# Two\n\n[A](a.md) [one](../one.md) [B](b.md)\n"
    assert read_folder(text, "docs/two/README") == Section("", ["docs/two/a", "docs/two/b"])


def test_a_section_is_written_as_a_hidden_tree_and_one_without_pages_as_nothing() -> None:
    written = write_toctree(Section("Reference", ["docs/one"]))
    assert written == "\n\n```{toctree}\n:hidden:\n:caption: Reference\n\n/docs/one\n```\n"
    assert write_toctree(Section("Reference", [])) == ""


def test_links_to_folders_lead_to_their_place_or_become_text() -> None:
    text = "[`proto`](../proto) [code](../src) [file](file.toml)\n```\n[no](../src)\n```\n"
    placed = place_links(
        text, "docs/page", lambda path: path == "docs/file.toml", {"proto": "grpc/index.html"}
    )
    assert placed == (
        '<a href="../grpc/index.html"><code>proto</code></a> code [file](file.toml)\n```\n[no](../src)\n```\n'
    )


def test_a_picture_becomes_an_image_for_light_and_one_for_dark_pages() -> None:
    picture = (
        '<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="a-dark.svg">\n'
        '  <img src="a-light.svg" alt="A table">\n</picture>\n'
    )
    assert (
        write_pictures(picture)
        == "![A table](a-light.svg){.only-light}\n![A table](a-dark.svg){.only-dark}\n"
    )


def test_a_picture_for_phones_too_becomes_an_image_for_each_theme_and_width() -> None:
    picture = (
        "<picture>\n"
        '  <source media="(max-width: 600px) and (prefers-color-scheme: dark)" srcset="narrow-dark.svg">\n'
        '  <source media="(max-width: 600px)" srcset="narrow-light.svg">\n'
        '  <source media="(prefers-color-scheme: dark)" srcset="dark.svg">\n'
        '  <img src="light.svg" alt="A table">\n</picture>\n'
    )
    assert write_pictures(picture) == (
        "![A table](light.svg){.only-light .only-wide}\n"
        "![A table](narrow-dark.svg){.only-dark .only-narrow}\n"
        "![A table](narrow-light.svg){.only-light .only-narrow}\n"
        "![A table](dark.svg){.only-dark .only-wide}\n"
    )
