"""A version's card and its file by Annex IV, as the portal gives them."""

from __future__ import annotations

import re

from fastapi.testclient import TestClient


def links(client: TestClient) -> list[str]:
    """Return the cards that a model's page leads to."""
    page = client.get("/models/shop/returns", headers={"accept": "text/html"}).text
    return sorted(set(re.findall(r'href="(/models/shop/returns/versions/\d+/(?:card|annex))"', page)))


def test_a_model_s_page_leads_to_its_cards(client: TestClient) -> None:
    """Each is there as Markdown, which no browser runs, and as JSON of the same; what there is not is told."""
    found = links(client)
    assert {path.rpartition("/")[2] for path in found} == {"card", "annex"}
    for path in found:
        told = client.get(path)
        assert told.status_code == 200
        assert told.headers["content-type"] == "text/plain; charset=utf-8"
        assert told.headers["x-content-type-options"] == "nosniff"
        said = client.get(f"{path}.json").json()
        assert said["model"] == "shop/returns"
        assert told.text.startswith(f"# {said['title']}: shop/returns, version {said['version']}\n")
        assert all(f"\n## {section['title']}\n" in told.text for section in said["sections"])
    assert "no version 99" in client.get("/models/shop/returns/versions/99/card.json").json()["error"]["problem"]
    assert client.get("/models/shop/returns/versions/1/licence.json").status_code == 400
    assert client.get("/models/shop/nothing/versions/1/card.json").status_code == 404
