""".nic files -> one HTML page that shows them by itself: pictures, weights and a decoder for browsers.

Above `api`; under the commands `page` and `open`. `decoder.js` is made in `web/`, from the same format document.
"""

from nicodec.page.page import Picture, page

__all__ = ["Picture", "page"]
