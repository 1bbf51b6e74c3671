// The marks of the faces, as the person has them now, and as they were written last.

export class Marks {
  constructor() {
    this.of = new Map(); // row → {exclude, labels: Map(label → value), note}
    this.version = "";
    this.written = "[]";
  }

  read({version, marks}) {
    this.of.clear();
    for (const {row, mark, label, value, note} of marks) {
      const one = this.get(row);
      if (mark === "exclude") one.exclude = true;
      if (mark === "label") one.labels.set(label, value);
      one.note ||= note;
      this.set(row, one);
    }
    this.settled(version);
  }

  settled(version) {
    this.version = version;
    this.written = JSON.stringify(this.list());
  }

  get(row) {
    const found = this.of.get(row);
    return {exclude: found?.exclude ?? false, labels: new Map(found?.labels), note: found?.note ?? ""};
  }

  set(row, one) {
    if (one.exclude || one.labels.size || one.note) this.of.set(row, one);
    else this.of.delete(row);
  }

  change(row, change) {
    const one = this.get(row);
    change(one);
    this.set(row, one);
  }

  // As the server takes them; the note stands with each mark of the face.
  list() {
    const found = [];
    for (const row of [...this.of.keys()].sort((one, other) => one - other)) {
      const {exclude, labels, note} = this.of.get(row);
      if (exclude) found.push({row, mark: "exclude", note});
      for (const label of [...labels.keys()].sort()) found.push({row, mark: "label", label, value: labels.get(label), note});
      if (!exclude && !labels.size) found.push({row, mark: "note", note});
    }
    return found;
  }

  get areWritten() {
    return JSON.stringify(this.list()) === this.written;
  }
}
