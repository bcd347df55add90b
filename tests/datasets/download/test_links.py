"""Links as strangers wrote them down, and Street2Shop's list of them."""

import pytest
from fashion_jax.data_builders.street2shop.layout import LayoutError
from fashion_jax.data_builders.street2shop.links import LinkListError, read_links

from fashion_jax.datasets.download.links import BadLinkError, clean_url, host_of


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a.com/b.jpg", "http://a.com/b.jpg"),
        (" HTTPS://WWW.A.com ", "https://www.a.com/"),
        ("http://a.com/x,y,z_1.jpg?a=1,2&b=%20#part", "http://a.com/x,y,z_1.jpg?a=1,2&b=%20"),
        ("http://a.com/a b|c.jpg", "http://a.com/a%20b%7Cc.jpg"),
        ("http://a.com/é.jpg", "http://a.com/%C3%A9.jpg"),
        ("http://a.com/\udce9.jpg", "http://a.com/%E9.jpg"),  # the byte 0xE9
        ("http://bücher.de/1", "http://xn--bcher-kva.de/1"),
        ("http://me:secret@a.com:8080/1", "http://a.com:8080/1"),
        ("http://[2001:DB8::1]:80/1", "http://[2001:db8::1]:80/1"),
        ("http://my_shop.a.com./1", "http://my_shop.a.com./1"),
        ("http://a.com/100%.jpg", "http://a.com/100%.jpg"),
    ],
)
def test_links_are_cleaned(text, url):
    assert clean_url(text) == url
    assert clean_url(url) == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://a.com/1", "not an http or https link: 'ftp://a.com/1'"),
        ("file:///etc/passwd", "not an http or https link"),
        ("//a.com/1", "not an http or https link"),
        ("a.com/1.jpg", "not an http or https link"),
        ("", "not an http or https link: ''"),
        ("http://", "no host in the link"),
        ("http:///1.jpg", "no host in the link"),
        ("http://a b.com/", "no host in the link"),
        ("http://%31/", "no host in the link"),
        ("http://a.com:port/", "Port could not be cast"),
        ("http://a.com:99999/", "Port out of range"),
        ("http://[::1/", "Invalid IPv6 URL"),
        ("http://a..com/", "label empty"),
        ("http://\udce9.com/", r"'http://\\udce9.com/'"),
    ],
)
def test_what_is_no_link(text, message):
    with pytest.raises(BadLinkError, match=message):
        clean_url(text)


def test_host_has_its_port():
    assert host_of("http://a.com:81/x") == "a.com:81"


def read(folder, content):
    (folder / "photos").mkdir()
    (folder / "photos" / "photos.txt").write_bytes(content)
    return read_links(folder)


def test_list_with_everything_that_real_copies_have(tmp_path):
    found = read(
        tmp_path,
        b"\xef\xbb\xbf000000007,http://a.com/7,1,large.jpg\r\n"
        b"\r\n"
        b"8,http://b.com/8 .jpg\n"
        b"nonsense\n"
        b"000000007,http://a.com/7,1,large.jpg\n"  # the same again
        b"000000007,http://a.com/other.jpg\n"
        b'9,"http://c.com/9.jpg"\n'
        b"10,http://d.com/\xe9.jpg\r"  # Latin-1, and an old Mac's end of line
        b"11,ftp://e.com/11.jpg\n"
        b"-12,http://e.com/12.jpg\n"
        b"13,http://f.com/13.jpg",
    )
    assert [(link.photo_id, link.url) for link in found.links] == [
        ("000000007", "http://a.com/7,1,large.jpg"),
        ("000000008", "http://b.com/8%20.jpg"),
        ("000000009", "http://c.com/9.jpg"),
        ("000000010", "http://d.com/%E9.jpg"),
        ("000000013", "http://f.com/13.jpg"),
    ]
    assert found.problems == [
        "line 4: not a photo's number, a comma and a link: 'nonsense'",
        "line 6: photo 000000007 has another link in a line above",
        "line 9: not an http or https link: 'ftp://e.com/11.jpg'",
        "line 10: not a photo's number, a comma and a link: '-12,http://e.com/12.jpg'",
    ]
    assert found.folder == tmp_path / "images"
    assert found.journal == tmp_path / "photos" / "download_journal.jsonl"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_encodings(tmp_path, encoding):
    found = read(tmp_path, "1,http://a.com/é.jpg\r\n2,http://a.com/2\r\n".encode(encoding))
    assert [link.url for link in found.links] == ["http://a.com/%C3%A9.jpg", "http://a.com/2"]
    assert found.problems == []


def test_photos_that_are_there(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "000000001.webp").write_bytes(b"")
    (tmp_path / "images" / ".000000003.jpg.1.unfinished").write_bytes(b"")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "000000002").write_bytes(b"")
    (tmp_path / "photos" / "photos.txt").write_text("1,http://a.com/1")
    there = read_links(tmp_path).there
    assert [f"{number:09d}" in there for number in (1, 2, 3)] == [True, True, False]


def test_list_without_a_good_line(tmp_path):
    with pytest.raises(LinkListError) as caught:
        read(tmp_path, b"<html>\n" * 12)
    text = str(caught.value)
    assert "no good link in the 12 line(s)" in text
    assert "000000007,http://" in text
    assert text.count("<html>") == 10
    assert "and 2 more" in text


def test_empty_list(tmp_path):
    with pytest.raises(LinkListError, match=r"photos\.txt is empty"):
        read(tmp_path, b"\n\n")


def test_no_list(tmp_path):
    with pytest.raises(LayoutError, match=r"cannot read the list of links .*photos/photos\.txt"):
        read_links(tmp_path)
    with pytest.raises(LayoutError, match="--manual_dir"):
        read_links(None)
