"""Photos of a list that lie at addresses on the web, here of this machine."""

import pytest

from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.errors import FashionJaxError
from tests.datasets.download.downloads import OPTIONS
from tests.datasets.download.hostile_server import photo, redirect, reply
from tests.serving.shops import counts


def sync(shop, text, **options):
    return shop.sync(text, **{"download": OPTIONS} | options)


def files(shop):
    return sorted(path for path in shop.photos.iterdir() if path.name[0] != ".")


@pytest.mark.parametrize("column", ["image_link", "Image Link", "photo_url", "image", "photo"])
def test_photos_at_addresses_are_downloaded_and_keep_them_as_names(shop, server, column):
    links = [server.on(f"/{i}.jpg", reply(photo(i))) for i in range(2)]
    text = f"product,{column},link\n1,{links[0]},https://shop.com/1\n2,{links[1]},\n"
    assert counts(sync(shop, text)) == (2, 0, 0, 0, 0)
    assert [item.photo_id for item in shop.items] == links
    assert shop.items[0].fields == {"link": "https://shop.com/1"}
    assert [shop.catalogue.items.origin(row).source for row in range(2)] == [
        str(path)
        for link in links
        for path in files(shop)
        if path.read_bytes() == photo(links.index(link))
    ]


def test_what_is_there_is_not_asked_for_again(shop, server):
    links = [server.on(f"/{i}.jpg", reply(photo(i))) for i in range(3)]
    sync(shop, f"photo\n{links[0]}\n{links[1]}\n")
    assert counts(sync(shop, f"photo\n{links[1]}\n{links[2]}\n")) == (1, 0, 1, 0, 1)
    assert server.asked == {"/0.jpg": 1, "/1.jpg": 1, "/2.jpg": 1}
    assert shop.model.embedded == 3


def test_a_photo_with_a_name_keeps_it_at_another_address(shop, server):
    text = "photo,product,image_link\nfront,1,{}\n"
    old, new, same = (
        server.on("/old", reply(photo(1))),
        server.on("/new", reply(photo(2))),
        server.on("/same", reply(photo(2))),
    )
    sync(shop, text.format(old), link="image_link")
    assert [item.photo_id for item in shop.items] == ["front"]
    result = sync(shop, text.format(new), link="image_link")
    assert (counts(result), result.embedded) == ((0, 1, 0, 0, 0), 1)
    result = sync(shop, text.format(same), link="image_link")
    assert (counts(result), result.facts, result.embedded) == (
        (0, 0, 0, 1, 0),
        {"image_link": 1},
        0,
    )
    assert server.asked.total() == 3


def test_beside_names_of_photos_an_address_is_a_field(shop, server):
    shop.take("a.jpg")
    sync(shop, "photo,image_link\na.jpg,http://a.com/1.jpg\n")
    assert shop.items[0].fields == {"image_link": "http://a.com/1.jpg"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photo,image_link\na,http://a.com/1\n", "no column 'image_lnk' of addresses; did you me"),
        ("photo,image_lnk\na,1.jpg\n", "1 cells of image_lnk are not addresses http"),
        ("photo,image_lnk\na,\n", "no column 'image_lnk' of addresses"),
    ],
)
def test_wrong_columns_of_addresses(shop, text, message):
    with pytest.raises(FashionJaxError, match=message):
        sync(shop, text, link="image_lnk")


def test_paths_and_addresses_in_one_list(shop, server):
    shop.take("a.jpg", 5)
    link = server.on("/1.png", reply(photo(1, "PNG")))
    assert counts(sync(shop, f"photo\na.jpg\n{link}\n")) == (2, 0, 0, 0, 0)
    assert [path.suffix for path in files(shop)].count(".png") == 1


def test_what_cannot_be_fetched_is_named_and_tried_again(shop, server):
    link = server.on("/1.jpg", reply(photo(1)))
    text = f"photo\n{link}\n{server.url('/gone.jpg')}\n"
    text += f"{server.on('/page', reply(b'<html>'))}\nhttp://a b.com/\n"
    with pytest.raises(FashionJaxError) as error:
        sync(shop, text)
    for part in (
        "3 of the list's photos cannot be used",
        f"1 not downloaded: http_404 ({server.url('/gone.jpg')})",
        "1 not downloaded: not_an_image",
        "1 not downloaded: bad_link (http://a b.com/)",
    ):
        assert part in str(error.value)
    assert not shop.index.exists()
    assert sync(shop, text, skip_bad=True).photos == 1
    server.on("/gone.jpg", reply(photo(2)))
    assert sync(shop, text, skip_bad=True).photos == 2
    assert server.asked["/1.jpg"] == 1


def test_the_local_network_is_out_of_reach_unless_it_is_allowed(shop, server):
    text = f"photo\n{server.on('/1.jpg', reply(photo(1)))}\n"
    with pytest.raises(FashionJaxError, match=r"private_address.*--allow_private_hosts"):
        sync(shop, text, download=DownloadOptions())
    assert not server.asked
    assert sync(shop, text).photos == 1


def test_redirects_and_limits_are_those_of_the_downloader(shop, server):
    target = server.on("/1.jpg", reply(photo(1)))
    text = f"photo\n{server.on('/moved', redirect(target))}\n"
    assert sync(shop, text).photos == 1
    large = server.on("/large.jpg", reply(photo(1) + b"x" * 300_000))
    with pytest.raises(FashionJaxError, match="1 not downloaded: too_large"):
        sync(shop, f"photo\n{large}\n")


def test_a_dry_run_asks_for_nothing(shop, server):
    links = [server.on(f"/{i}.jpg", reply(photo(i))) for i in range(2)]
    text = "photo\n" + "\n".join(links)
    result = sync(shop, text, dry_run=True)
    assert (result.added, result.to_download, result.embedded) == (2, 2, 2)
    assert "to download" in result.to_table()
    assert not server.asked
    assert not shop.photos.exists()
    sync(shop, f"photo\n{links[0]}\n")
    result = sync(shop, text, dry_run=True)
    assert (counts(result), result.to_download) == ((1, 0, 0, 0, 1), 1)


def test_downloads_need_a_folder(shop):
    with pytest.raises(FashionJaxError, match=r"name a folder to download them into \(--photos\)"):
        sync(shop, "photo\nhttp://a.com/1.jpg\n", photos=None)


def test_a_list_that_builds_a_dataset_has_no_addresses(tmp_path):
    from tests.datasets.photo_lists import refused

    assert "column photo is missing" in refused("image_link,product\nhttp://a.com/1,1\n")
    assert "photo in object storage must be" in refused("photo,product\nhttp://a.com/1,1\n")
