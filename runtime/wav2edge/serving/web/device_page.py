"""The page that recognises on the device of its reader, and what it loads: itself, the engine, ONNX Runtime, bundles.

Its paths and headers are those of ``runtime/js/page/serve.mjs``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import wav2edge
from wav2edge.bundle.manifest import MANIFEST
from wav2edge.errors import UsageError
from wav2edge.serving.recognising.served_models import ServedModel
from wav2edge.serving.refusals import Refusal

RUNTIME = Path("onnxruntime-web", "dist")
PATHS = ("/page", "/src", "/bundles", "/node_modules")
"""Below these lie the page's files."""
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self';"
    " object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, kw_only=True)
class DevicePage:
    """Where the npm package ``wav2edge`` is, and the ``node_modules`` with ``onnxruntime-web``."""

    package: Path
    modules: Path

    @classmethod
    def find(cls, package: Path | None = None) -> DevicePage | None:
        """The page of a package, or of the checkout that this module is in; None where that has none.

        Raises:
            UsageError: the package that is named has no page, or there is no ``onnxruntime-web``.
        """
        folder = package or Path(wav2edge.__file__).resolve().parents[1] / "js"
        around = [folder / "node_modules", folder.parent]
        modules = next((each for each in around if (each / RUNTIME).is_dir()), None)
        if (folder / "page" / "index.html").is_file() and modules is not None:
            return cls(package=folder, modules=modules)
        if package is None:
            return None
        raise UsageError(f"{package}: no page, or no onnxruntime-web beside it; give the folder of the npm package")

    def routes(self, models: Iterable[ServedModel]) -> list[BaseRoute]:
        """The page at ``/``, and below it what it loads."""
        bundles = {model.name: _BundleFiles(model) for model in models if model.bundle.repository is None}
        listed = json.dumps([{"name": name, "url": f"../bundles/{quote(name, safe='')}/"} for name in bundles])

        async def home(request: Request) -> Response:
            return RedirectResponse("/page/", 302)

        async def bundle_list(request: Request) -> Response:
            return Response(listed, media_type="application/json", headers=HEADERS)

        async def bundle_file(request: Request) -> Response:
            path = request.path_params["path"]
            for name, files in bundles.items():
                file = path.removeprefix(f"{name}/")
                if file != path and file in files.listed:
                    response = await files.get_response(file, request.scope)
                    response.headers.update(HEADERS)
                    return response
            raise Refusal("not_found", "no such file")

        roots: Mapping[str, Path] = {
            "/page": self.package / "page",
            "/src": self.package / "src",
            f"/node_modules/{RUNTIME.as_posix()}": self.modules / RUNTIME,
        }
        mounts = [Mount(path, app=_Files(StaticFiles(directory=root, html=True))) for path, root in roots.items()]
        lists = [Route("/page/bundles.json", bundle_list), Route("/bundles/{path:path}", bundle_file)]
        return [Route("/", home), *lists, *mounts]


class _BundleFiles(StaticFiles):
    """The files of a bundle: those that its manifest lists, of which each may be a link, and no others."""

    def __init__(self, model: ServedModel) -> None:
        super().__init__(directory=model.bundle.folder, follow_symlink=True)
        self.listed = frozenset({MANIFEST, *model.bundle.manifest.files})


class _Files:
    """Static files with the headers that the page wants; hidden ones are not there."""

    def __init__(self, files: ASGIApp) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(part.startswith(".") for part in scope["path"].split("/")):
            raise Refusal("not_found", "no such file")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        await self._files(scope, receive, with_headers)
