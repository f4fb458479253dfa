"""Commands, their output and files are found in a tutorial, and compared."""

import pytest
from tests.docs.pages import Command, File, Unrun, matches, read_steps

PAGE = """# Title

Write `a.py`:

```python
print(1)
```

Run it:

```console
$ python a.py
1
$ cat >b <<END
> one
>
>  two
> END
$ true
```

Elsewhere:

```sh
kubectl apply
```
"""


def test_steps_are_commands_files_and_what_is_not_run_in_their_order() -> None:
    assert list(read_steps(PAGE)) == [
        File("a.py", "print(1)\n"),
        Command("python a.py", ["1"]),
        Command("cat >b <<END\none\n\n two\nEND", []),
        Command("true", []),
        Unrun("kubectl apply\n"),
    ]


def test_a_block_that_is_neither_a_command_nor_a_named_file_is_rejected() -> None:
    with pytest.raises(ValueError, match="names no file"):
        list(read_steps("Look:\n\n```python\nprint(1)\n```\n"))


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        (["one"], ["one"], True),
        (["one"], ["two"], False),
        (["one"], [], False),
        ([], ["one"], False),
        (["a … z (?)"], ["a to z (?)"], True),
        (["a…"], ["b"], False),
        (["a…", "c"], ["a", "b", "c"], False),
        (["a", "…", "c"], ["a", "b", "b", "c"], True),
        (["a", "…"], ["a"], True),
        (["…", "c"], ["a", "b"], False),
    ],
)
def test_an_ellipsis_stands_for_a_part_of_a_line_and_alone_for_any_lines(
    expected: list[str], printed: list[str], *, same: bool
) -> None:
    assert matches(expected, printed) == same
