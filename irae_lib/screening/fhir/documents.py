"""The text of documents: attachments in base64, plain text, HTML and XHTML, in the character set they name."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from email.message import Message
from html.parser import HTMLParser

from .resources import Attachment
from .values import Unreadable

_PLAIN, _HTML = ("text/plain", "text/markdown"), ("text/html", "application/xhtml+xml")
READABLE = (*_PLAIN, *_HTML)  # in order of preference


def media_type(attachment: Attachment) -> str:
    """The type of an attachment without parameters, lower case; plain text if it gives none."""
    return (attachment.contentType or "text/plain").partition(";")[0].strip().lower()


def attachment_text(attachment: Attachment) -> str:
    """The text of an attachment that carries its data.

    Raises:
        Unreadable: another type than plain text or HTML, not base64, or not in its character set.
    """
    kind = media_type(attachment)
    if kind not in READABLE:
        raise Unreadable("an attachment is neither plain text nor HTML; export the note as text/plain or text/html")
    try:
        data = base64.b64decode("".join((attachment.data or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("the data of an attachment are not base64") from None
    header = Message()
    header["content-type"] = attachment.contentType or "text/plain"
    text = decoded(data, str(header.get_param("charset") or "") or (_named_in(data) if kind in _HTML else ""))
    return html_text(text) if kind in _HTML else text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _named_in(data: bytes) -> str:
    match = re.search(rb"charset\s*=\s*[\"']?([\w-]+)|encoding=[\"']([\w-]+)", data[:1024])
    return (match[1] or match[2]).decode() if match else ""


def decoded(data: bytes, charset: str) -> str:
    """Bytes as text: a byte-order mark decides, then the named character set, else UTF-8, then Windows-1252.

    Raises:
        Unreadable: an unknown character set, or bytes that it does not have.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        charset = "utf-16"
    try:
        if charset and codecs.lookup(charset).name != "utf-8":
            return data.decode(charset)
    except LookupError:
        raise Unreadable("an attachment names a character set that does not exist") from None
    except UnicodeDecodeError:
        raise Unreadable("an attachment is not in the character set that it names") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if charset:
            raise Unreadable("an attachment is not in the character set that it names") from None
        return data.decode("cp1252", "replace")


_BLOCKS = frozenset(
    "address article blockquote br caption dd div dl dt footer h1 h2 h3 h4 h5 h6 header hr li main ol p pre section "
    "table tbody thead tr ul".split()
)
_HIDDEN = frozenset(("script", "style", "template", "title"))


class _Text(HTMLParser):
    """Collects the visible text; blocks become lines, and the cells of a table row are separated by two spaces."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.hidden = self.verbatim = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.hidden += tag in _HIDDEN
        self.verbatim += tag == "pre"
        self.pieces.append("\n" if tag in _BLOCKS else "  " if tag in ("td", "th") else "")

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.pieces.append("\n" if tag in _BLOCKS else "")  # <title/> hides nothing

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= self.hidden > 0 and tag in _HIDDEN
        self.verbatim -= self.verbatim > 0 and tag == "pre"
        self.pieces.append("\n" if tag in _BLOCKS else "")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.pieces.append(data if self.verbatim else re.sub(r"[ \t\r\n\f\xa0]+", " ", data))


def html_text(html: str) -> str:
    """The visible text of HTML, one line for each block."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (re.sub(r" {3,}", "  ", line).strip() for line in "".join(parser.pieces).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
