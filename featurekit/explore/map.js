// A map of the faces on a canvas: a click opens a face, and a rectangle that is drawn chooses a region.

const MARGIN = 12;
const NEAR = 10; // pixels around a click in which a face is looked for

export class FaceMap {
  constructor(canvas, x, y, {onRegion, onOpen}) {
    this.canvas = canvas;
    this.x = x;
    this.y = y;
    this.onRegion = onRegion;
    this.onOpen = onOpen;
    this.whole = [Math.min(...extremes(x)), Math.min(...extremes(y)), Math.max(...extremes(x)), Math.max(...extremes(y))];
    this.view = this.whole;
    this.region = null;
    this.drawn = null;
    this.from = null;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.end(event));
    canvas.addEventListener("pointercancel", () => { this.from = null; this.paint(); });
    new ResizeObserver(() => this.paint()).observe(canvas);
  }

  // What is drawn: the colour of each face, which faces are shown, and which are selected.
  show(colors, isShown, isSelected) {
    this.drawn = {colors, isShown, isSelected};
    this.paint();
  }

  zoom(view) {
    this.view = view ?? this.whole;
    this.paint();
  }

  toScreen(x, y) {
    const {clientWidth: width, clientHeight: height} = this.canvas;
    const [left, bottom, right, top] = this.view;
    const across = (x - left) / (right - left || 1);
    const up = (y - bottom) / (top - bottom || 1);
    return [MARGIN + across * (width - 2 * MARGIN), height - MARGIN - up * (height - 2 * MARGIN)];
  }

  toMap(across, down) {
    const {clientWidth: width, clientHeight: height} = this.canvas;
    const [left, bottom, right, top] = this.view;
    return [
      left + ((across - MARGIN) / (width - 2 * MARGIN)) * (right - left),
      bottom + ((height - MARGIN - down) / (height - 2 * MARGIN)) * (top - bottom),
    ];
  }

  paint() {
    const {canvas} = this;
    const scale = window.devicePixelRatio || 1;
    const style = getComputedStyle(document.documentElement);
    canvas.width = Math.round(canvas.clientWidth * scale);
    canvas.height = Math.round(canvas.clientHeight * scale);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    if (!this.drawn) return;
    const {colors, isShown, isSelected} = this.drawn;
    const size = this.x.length > 5000 ? 2.5 : this.x.length > 1000 ? 4 : 6;
    const dot = (face, color, side) => {
      const [across, down] = this.toScreen(this.x[face], this.y[face]);
      pen.fillStyle = color;
      if (side <= 3) {
        pen.fillRect(across - side / 2, down - side / 2, side, side);
        return;
      }
      pen.beginPath();
      pen.arc(across, down, side / 2, 0, 2 * Math.PI);
      pen.fill();
    };
    const pale = style.getPropertyValue("--line");
    for (let face = 0; face < this.x.length; face++) if (!isShown[face]) dot(face, pale, Math.max(size - 2, 2));
    for (let face = 0; face < this.x.length; face++) if (isShown[face]) dot(face, colors[face], size);
    pen.strokeStyle = style.getPropertyValue("--ink");
    pen.lineWidth = 1.5;
    for (let face = 0; face < this.x.length; face++) {
      if (!isSelected[face]) continue;
      const [across, down] = this.toScreen(this.x[face], this.y[face]);
      pen.beginPath();
      pen.arc(across, down, size / 2 + 2, 0, 2 * Math.PI);
      pen.stroke();
    }
    const region = this.from?.region ?? this.region;
    if (region) {
      const [left, bottom] = this.toScreen(region[0], region[1]);
      const [right, top] = this.toScreen(region[2], region[3]);
      pen.setLineDash([5, 3]);
      pen.strokeRect(left, top, right - left, bottom - top);
    }
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.from = {at: [event.offsetX, event.offsetY], region: null};
  }

  move(event) {
    if (!this.from) return;
    const [across, down] = this.from.at;
    if (Math.hypot(event.offsetX - across, event.offsetY - down) < 5) return;
    const one = this.toMap(across, down);
    const other = this.toMap(event.offsetX, event.offsetY);
    this.from.region = [
      Math.min(one[0], other[0]), Math.min(one[1], other[1]), Math.max(one[0], other[0]), Math.max(one[1], other[1]),
    ];
    this.paint();
  }

  end(event) {
    if (!this.from) return;
    const {region} = this.from;
    this.from = null;
    if (region) {
      this.choose(region);
      return;
    }
    const face = this.nearest(event.offsetX, event.offsetY);
    if (face !== null) this.onOpen(face);
    else if (this.region) this.choose(null);
  }

  choose(region) {
    this.region = region;
    this.paint();
    this.onRegion(region);
  }

  contains(face) {
    if (!this.region) return true;
    const [left, bottom, right, top] = this.region;
    return this.x[face] >= left && this.x[face] <= right && this.y[face] >= bottom && this.y[face] <= top;
  }

  nearest(across, down) {
    let found = null;
    let best = NEAR;
    for (let face = 0; face < this.x.length; face++) {
      if (!this.drawn.isShown[face]) continue;
      const [x, y] = this.toScreen(this.x[face], this.y[face]);
      const distance = Math.hypot(x - across, y - down);
      if (distance < best) {
        best = distance;
        found = face;
      }
    }
    return found;
  }
}

function extremes(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
