""".nic files -> one HTML page that shows them by itself: pictures, weights and a decoder for browsers.

Above `api`; under the commands `page` and `open`. `decoder.js` is made in `web/`, from the same format document.
"""

from nicodec.page.page import MOST_BYTES, Picture, gather, page

__all__ = ["MOST_BYTES", "Picture", "gather", "page"]
