// The model of the page: its networks, and what its labels can do.

const CANDIDATES = 1000; // of M3's draws, as in pipeline/models/m3.py

function makeModel(data, bytes) {
  const { programs, labels, condition } = data;
  const run = {};
  for (const [name, program] of Object.entries(programs)) run[name] = program && network(program, bytes);
  const readsPixels = programs.read && programs.read.inputs[0][0] === "pixels";
  const size = programs.decode.inputs[0][1][0];

  const ofLabels = new Set();
  for (const label of labels)
    if (label.place) for (let i = label.place[0]; i < label.place[1]; i++) ofLabels.add(i);

  // The encoder's numbers for labels, null standing for an unknown value.
  function conditionOf(values) {
    if (!condition) return null;
    const found = Float32Array.from(condition.unknown);
    (values || []).forEach((value, label) => {
      if (value !== null && value !== undefined) found.set(condition.values[label][value], condition.places[label][0]);
    });
    return found;
  }

  const model = {
    size,
    needsLabels: Boolean(condition && condition.needed),
    reads: Boolean(run.read),
    readsPixels,
    encode: (pixels, values = null) => run.encode({ pixels, condition: conditionOf(values) }),
    decode: (code) => run.decode({ code }),

    // The probability of each value of each label; pixels are needed only by a classifier of pictures.
    read(code, pixels) {
      if (!run.read) return null;
      const all = run.read(readsPixels ? { pixels } : { code });
      let start = 0;
      return labels.map((label) => {
        const own = Array.from(all.slice(start, start + label.values.length), Math.exp);
        start += label.values.length;
        return own;
      });
    },

    // A new point of a label's latents for a value.
    draw(label, value) {
      const control = labels[label];
      if (control.draw === "gaussian") return sampled(control.means[value], control.scales[value]);
      if (control.draw === "value") return Float32Array.from(control.means[value]);
      const [start, stop] = control.place;
      let best = null, most = -1;
      for (let tried = 0; tried < CANDIDATES && most < control.confidence; tried++) {
        const own = Float32Array.from({ length: stop - start }, normal);
        const probability = model.read(withLatents(new Float32Array(size), control.place, own))[label][value];
        if (probability > most) [best, most] = [own, probability];
      }
      return best;
    },

    // A code from labels alone, or from the prior.
    generate(values) {
      const code = Float32Array.from({ length: size }, normal);
      if (data.generate === "prior") return code;
      if (run.labelPosterior) {
        const found = run.labelPosterior({ condition: conditionOf(values) });
        return sampled(found.slice(0, size), found.slice(size));
      }
      return values.reduce(
        (drawn, value, label) => withLatents(drawn, labels[label].place, model.draw(label, value)), code);
    },

    nameOf(position) {
      const owner = labels.find((label) => label.place && position >= label.place[0] && position < label.place[1]);
      if (!owner) return `${ofLabels.size ? "style" : "latent"} ${position - ofLabels.size + 1}`;
      const several = owner.place[1] - owner.place[0] > 1;
      return several ? `${owner.name} ${position - owner.place[0] + 1}` : owner.name;
    },
  };
  return model;
}
