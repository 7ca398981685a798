"""The portal: web pages, and JSON, on models, features, data, cycles and alarms.

To add a page:

1. ``pages/<noun>.py``: a frozen dataclass that is a ``Page``, with everything that the page says as fields, and a
   route that makes one and answers with it::

       @dataclass(frozen=True)
       class TeamsPage(Page):
           template: ClassVar[str] = "teams.html"
           section: ClassVar[str] = "/teams"
           teams: list[TeamRow]

           @property
           def title(self) -> str:
               return "Teams"

       router = APIRouter()

       @router.get("/teams", response_model=TeamsPage)
       def teams(ask: CurrentRequest) -> Response:
           return ask.answer(TeamsPage(_rows(ask.portal)))

   The same address answers as JSON (``Accept: application/json``, or ``/teams.json``) with no further work.
   Routes are plain functions: FastAPI runs them in threads, the ledger may be read in them.
2. ``templates/teams.html``: extends ``base.html``, fills ``content``, and reads the object as ``page``. Everything is
   escaped. Times by ``|when``, durations by ``|span``, numbers by ``|number``, shares by ``|share``; pieces that pages
   share are macros in ``parts.html``. No inline script or style: the content policy forbids both, also ``style=``.
3. The router into ``ROUTERS`` of ``pages/__init__.py``, and its entry into ``SECTIONS`` of ``sections.py``.

A part that is fetched after the page is a small page of its own (template without ``base.html``): ``portal.js`` puts it
in the place of what has its address as ``data-part``, and asks again where ``data-again="5"`` (seconds) stands. A chart
is a ``page.Chart`` among the fields, with a ``ChartPage`` at its ``source``, and ``{{ chart(page.drift) }}`` of
``picture.html``: the server draws it, and the script fetches its figures when somebody points at it. What is wrong is
raised as an error of ``loopline.platform_core.errors``: it becomes a page with problem and fix. A form posts to a route
of its own; ``security.py`` refuses those that other sites send.

Tests: ``TestClient(create_app(platform, plugins.Installed(teams, ())), base_url="http://localhost")``.
"""
