"""Answers of a server, as far as they are read."""

from bench.load.http_connection import is_chunked, read_length, read_status


def test_an_answer_is_read_by_its_head() -> None:
    head = b"HTTP/1.1 401 Unauthorized\r\nDate: x\r\ncontent-length: 17\r\n\r\n"
    assert (read_status(head), read_length(head)) == (401, 17)
    assert read_length(b"HTTP/1.1 204 No Content\r\n\r\n") == 0
    assert is_chunked(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert not is_chunked(head)
