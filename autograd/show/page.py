"""A picture as one HTML file: the svg inside, to zoom and to move in, with nothing from elsewhere."""

from __future__ import annotations

import re
from string import Template

__all__ = ["for_viewers", "inline_svg", "page"]

_LINK = re.compile(r'<g id="a_[^"]*"><a xlink:title="([^"]*)">(.*?)</a>\s*</g>', re.DOTALL)
_TITLED = re.compile(r'(<g id="(?:node|edge|clust)\d+"[^>]*>\s*)<title>[^<]*</title>\s*'
                     r'<g id="a_[^"]*"><a xlink:title="([^"]*)">(.*?)</a>\s*</g>', re.DOTALL)


_NODE = re.compile(r'<g id="node\d+" class="node">.*?</g>', re.DOTALL)
_OUTLINE = re.compile(r'<(?:polygon|path|ellipse)[^>]* (points|d|cx)="([^"]*)"')
_START = re.compile(r'text-anchor="start" x="[^"]*"')


def for_viewers(svg: str) -> str:
    """Graphviz's svg as viewers need it.

    Tooltips, which are in links, become a <title>, which every viewer shows and screen readers read. Lines of a box
    are anchored in its middle, so that they stay within it where the viewer has another font than Graphviz.
    """
    svg = _LINK.sub(r"\2", _TITLED.sub(r"\1<title>\2</title>\3", svg))
    return _NODE.sub(_centred, svg)


def _centred(node: re.Match) -> str:
    outline = _OUTLINE.search(node[0])
    if outline is None:
        return node[0]
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", outline[2])]
    across = numbers if outline[1] == "cx" else numbers[::2]
    return _START.sub(f'text-anchor="middle" x="{(min(across) + max(across)) / 2:.2f}"', node[0])


def inline_svg(svg: str) -> str:
    """An svg without the head that only a file of its own has."""
    return svg[svg.index("<svg"):] if "<svg" in svg else svg


def page(svg: str) -> str:
    """The whole file."""
    return _PAGE.substitute(svg=inline_svg(svg))


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The graph</title>
<style>
  html, body { margin: 0; height: 100%; background: #ffffff; font: 13px Helvetica, Arial, sans-serif; color: #444; }
  #stage { position: fixed; inset: 0; overflow: hidden; cursor: grab; touch-action: none; outline: none; }
  #stage.moving { cursor: grabbing; }
  #stage svg { position: absolute; left: 0; top: 0; transform-origin: 0 0; }
  #stage .node:hover > :is(polygon, path, ellipse) { stroke-width: 2.5; }
  #keys { position: fixed; right: 10px; bottom: 8px; background: #ffffffdd; padding: 3px 8px; border-radius: 4px;
          border: 1px solid #ddd; }
  #tip { position: fixed; display: none; white-space: pre-wrap; max-width: 480px; background: #222; color: #fff;
         padding: 6px 9px; border-radius: 4px; pointer-events: none; z-index: 2; }
</style>
</head>
<body>
<div id="stage" tabindex="0" role="img" aria-label="The graph">
$svg
</div>
<div id="tip"></div>
<div id="keys">wheel or + &minus;: zoom &middot; drag or arrows: move &middot; 0: all of it &middot; 1: true size</div>
<script>
"use strict";
const stage = document.getElementById("stage"), tip = document.getElementById("tip");
const svg = stage.querySelector("svg");
const box = svg.getBoundingClientRect(), width = box.width, height = box.height;
let x = 0, y = 0, scale = 1;
const show = () => { svg.style.transform = `translate($${x}px, $${y}px) scale($${scale})`; };
function zoom(factor, atX, atY) {
  const next = Math.min(8, Math.max(0.02, scale * factor));
  x = atX - (atX - x) * next / scale; y = atY - (atY - y) * next / scale; scale = next; show();
}
function fit(largest) {
  scale = Math.min(largest, stage.clientWidth / width, stage.clientHeight / height);
  x = (stage.clientWidth - width * scale) / 2; y = (stage.clientHeight - height * scale) / 2; show();
}
stage.addEventListener("wheel", event => {
  event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
}, { passive: false });
let from = null;
stage.addEventListener("pointerdown", event => {
  from = [event.clientX - x, event.clientY - y]; stage.setPointerCapture(event.pointerId);
  stage.classList.add("moving");
});
stage.addEventListener("pointermove", event => {
  if (from) { x = event.clientX - from[0]; y = event.clientY - from[1]; show(); }
});
for (const name of ["pointerup", "pointercancel"])
  stage.addEventListener(name, () => { from = null; stage.classList.remove("moving"); });
document.addEventListener("keydown", event => {
  const middle = [stage.clientWidth / 2, stage.clientHeight / 2];
  const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  if (event.key in steps) { x += steps[event.key][0]; y += steps[event.key][1]; show(); event.preventDefault(); }
  else if (event.key === "+" || event.key === "=") zoom(1.25, ...middle);
  else if (event.key === "-") zoom(0.8, ...middle);
  else if (event.key === "0") fit(1.5);
  else if (event.key === "1") zoom(1 / scale, ...middle);
});
for (const part of svg.querySelectorAll(".node, .edge, .cluster")) {
  const title = part.querySelector(":scope > title");
  if (!title) continue;
  const text = title.textContent;
  part.setAttribute("aria-label", text); title.remove();
  part.addEventListener("mousemove", event => {
    tip.textContent = text; tip.style.display = "block";
    tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 6) + "px";
    tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 6) + "px";
  });
  part.addEventListener("mouseleave", () => { tip.style.display = "none"; });
}
const whole = svg.querySelector("g.graph > title");
if (whole) whole.remove();
addEventListener("resize", () => fit(1.5));
fit(1.5);
</script>
</body>
</html>
""")
