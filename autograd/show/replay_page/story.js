// The step pane: what happens in one step, in words, formulas and numbers.
'use strict';

const article = document.getElementById('step');

/** MathML that formulas.py has written, every name in it escaped there. */
function formula(mathml) {
  const holder = make('div', 'formula');
  holder.innerHTML = mathml;
  return holder;
}

function labelOf(value) {
  return data.values[value].label;
}

function pair(key, ...content) {
  return make('div', 'pair', {}, make('div', 'key mono', {}, key), make('div', '', {}, ...content));
}

function section(title, ...content) {
  return make('section', '', {}, title ? make('h3', '', {}, title) : '', ...content);
}

function missing(role) {
  return make('span', 'missing', { 'data-role': role }, 'not computed');
}

/** The gradient of a value as far as it is known after an event. */
function gradientElement(value, event, role) {
  const found = gradientAfter(value, event);
  return found ? arrayFigure(found[0], role) : missing(role);
}

function tellStep(step) {
  const isForward = step.last < SEED;
  const title = step.frame !== null ? data.frames[step.frame].title : titleOf(step.last);
  const counter = step.first === step.last ? `Step ${step.last} of ${END}` : `Steps ${step.first}–${step.last} of ${END}`;
  const phase = step.last === 0 ? 'Start' : step.last === END ? 'Result' : isForward ? 'Forward' : 'Backward';
  const where = make('div', 'where', {}, make('span', `phase ${isForward ? '' : 'backward'}`, {}, phase), make('span', '', { id: 'counter' }, counter));
  article.replaceChildren(where, make('h2', '', { id: 'heading' }, title), ...storyOf(step));
  article.scrollTop = 0;
  article.dataset.event = step.last;
  document.getElementById('said').textContent = `${counter}, ${phase.toLowerCase()}: ${title}`;
}

function titleOf(event) {
  if (event === 0) return 'What is given';
  if (event === SEED) return 'The backward pass starts';
  if (event === END) return 'All gradients';
  const box = data.boxes[boxAt(event)];
  if (box.kind === 'group') return groupTitle(box);
  const output = labelOf(box.outputs[0][1]);
  if (box.outputs.length > 1 || output === box.op) return box.op;
  return data.values[box.outputs[0][1]].named ? `${output} = ${box.op}` : output;
}

function storyOf(step) {
  if (step.frame !== null) return tellFrame(step);
  if (step.last === 0) return tellStart();
  if (step.last === SEED) return tellSeed();
  if (step.last === END) return tellEnd();
  const box = data.boxes[boxAt(step.last)];
  if (step.last < SEED) return tellForward(box, step.last);
  return tellBackward(box, data.pulls[step.last - SEED - 1], step.last);
}

function tellStart() {
  const given = data.boxes.filter((box) => ['leaf', 'constant'].includes(box.kind)).map((box) => box.outputs[0][1]);
  const inside = data.boxes.flatMap((box) => box.parameters || []);
  const rows = withMore([...given, ...inside], (value) => valueRow(value, 0));
  return [
    ...data.notes.map((text) => make('p', 'notice', {}, text)),
    make('p', '', {}, 'The calculation starts from these values. Step forward to see each op compute its result, then on into the backward pass.'),
    make('div', 'pairs', {}, ...rows),
  ];
}

/** A row for each value, up to as many as can be looked through. */
function withMore(values, row) {
  const rows = values.slice(0, 100).map(row);
  if (values.length > 100) rows.push(make('p', 'quiet', {}, `and ${values.length - 100} more`));
  return rows;
}

function valueRow(value, event) {
  const { array, kind } = data.values[value];
  const gradient = kind === 'constant' ? make('span', 'quiet', {}, 'a constant: no gradient flows into it')
    : make('div', '', { 'data-gradient-of': labelOf(value) }, make('span', 'quiet', {}, 'gradient '), gradientElement(value, event, 'gradient'));
  return pair(labelOf(value), make('div', '', {}, arrayFigure(array, 'value')), gradient);
}

function tellSeed() {
  const label = labelOf(data.output);
  const words = data.given
    ? `The pass starts from the cotangent that was given for ${label}: L is the sum of ${label} times it, element by element.`
    : `L is ${label} itself. How fast does L change with ${label}? Exactly as fast: its derivative by itself is 1. From here the gradient flows back, against the arrows.`;
  return [make('p', '', {}, words), section(`∂L/∂${label}`, make('div', '', { 'data-gradient-of': label }, gradientElement(data.output, SEED, 'gradient')))];
}

function tellEnd() {
  const leaves = [...data.values.keys()].filter((value) => data.values[value].kind === 'leaf');
  const rows = withMore(leaves, (value) => pair(`∂L/∂${labelOf(value)}`, make('div', '', { 'data-gradient-of': labelOf(value) }, gradientElement(value, END, 'gradient'))));
  return [make('p', '', {}, 'Nothing is left to pull back. These are the gradients of L by what was given: what y.backward() adds to each .grad.'), make('div', 'pairs', {}, ...rows)];
}

// ------------------------------------------------------------ forward

function about(box) {
  const chips = [...(box.params || []), ...(box.scope ? [`in ${box.scope}`] : [])].map((text) => make('span', 'chip mono', {}, text));
  return [box.about ? make('p', 'quiet', {}, box.about) : '', chips.length ? make('div', 'where', {}, ...chips) : ''].filter(Boolean);
}

function tellForward(box, event) {
  const inputs = box.inputs.map(([name, value]) => pair(name && name !== labelOf(value) ? `${name} = ${labelOf(value)}` : labelOf(value), arrayFigure(data.values[value].array, 'value')));
  const outputs = box.outputs.map(([name, value]) => pair(name || labelOf(value),
    make('div', '', { 'data-value-of': labelOf(value) }, arrayFigure(data.values[value].array, 'value')),
    make('div', '', { 'data-gradient-of': labelOf(value) }, make('span', 'quiet', {}, 'gradient '), gradientElement(value, event, 'gradient'))));
  const listed = box.kind === 'group' ? [make('p', 'quiet', {}, groupWords(box))] : [];
  return [...about(box), ...listed, box.formula ? formula(box.formula) : '', section('Takes', make('div', 'pairs', {}, ...inputs)),
    section('Computes', make('div', 'pairs', {}, ...outputs))].filter(Boolean);
}

function groupWords(box) {
  const more = box.ops > box.listed.length ? `, and ${box.ops - box.listed.length} more` : '';
  return `${box.ops} ops shown as one: ${box.listed.join(', ')}${more}.${box.unlisted ? ` Its first parameters are shown; there are ${box.unlisted} more.` : ''}`;
}

// ------------------------------------------------------------ backward

function tellBackward(box, pull, event) {
  const incoming = pull.gradients.map(([value, array]) => make('div', '', { 'data-gradient-of': labelOf(value) },
    make('div', 'quiet', {}, `g = ∂L/∂${labelOf(value)}`), array === null ? missing('incoming') : arrayFigure(array, 'incoming')));
  const hooked = pull.hooked ? [make('p', 'notice', {}, 'A hook has changed this gradient: it is no longer the sum of what arrived.')] : [];
  const named = pull.named.length ? [section('The rule’s named values', ...namedValues(pull.named))] : [];
  const words = box.kind === 'group' ? [make('p', 'quiet', {}, groupWords(box))] : [];
  const parts = pull.parts.map((part) => tellPart(part, box, pull.gradients[0]?.[1]));
  const needNames = pull.parts.some((part) => part.local === null); // else the local derivatives tell more
  return [...about(box), ...words, section('Incoming gradient', ...incoming, ...hooked), ...(needNames ? [...named, ...parts] : [...parts, ...named])];
}

/** Arrays in rows; shapes and parameters together in a line. */
function namedValues(named) {
  const arrays = named.filter(([, array]) => array !== null).map(([name, array]) => pair(name, arrayFigure(array, 'named')));
  const others = named.filter(([, array]) => array === null).map(([name, , text]) => make('span', 'chip mono', {}, `${name}=${text}`));
  return [make('div', 'pairs', {}, ...arrays), others.length ? make('div', 'where', {}, ...others) : ''].filter(Boolean);
}

function tellPart(part, box, incoming) {
  const label = labelOf(part.to);
  const role = part.input && part.input !== label ? `${part.input} = ` : '';
  const card = make('section', 'card', { 'data-part': label, 'data-input': part.input || '' },
    make('h3', '', {}, `Back to ${role}`, make('span', 'name mono', {}, label)));
  if (part.rule !== undefined) card.append(...tellRule(data.rules[part.rule], part));
  card.append(make('div', '', {}, make('h4', '', {}, box.kind === 'group' ? `What ${part.count} rules give together` : 'Contribution'),
    ...(part.fitted ? [arrayFigure(part.given, 'given'), make('p', 'quiet', {}, `Then ${part.fitted}. ${fittedWords(part.fitted)}`)] : []),
    contributionElement(part, incoming, label)));
  card.append(tellSum(part, label));
  return card;
}

function fittedWords(words) {
  return words.startsWith('summed') ? 'Each copy is a path of its own, and what comes back along all of them adds up.' : '';
}

function tellRule(rule, part) {
  const sources = rule.sources.map((number) => data.sources[number]);
  const [first, ...helpers] = sources;
  const shown = first ? [sourceElement(first)] : [make('p', 'quiet', {}, 'The source of this rule is not to be had.')];
  if (helpers.length) shown.push(make('details', '', {}, make('summary', '', {}, 'what it calls'), ...helpers.map(sourceElement)));
  const meanings = Object.entries(rule.explained).map(([name, text]) => make('p', 'quiet', {}, make('code', '', {}, name), `: ${text}`));
  const rows = [make('div', '', {}, make('h4', '', {}, rule.joint ? 'Rule, joint for all inputs' : 'Rule'), rule.formula ? formula(rule.formula) : make('p', 'quiet', {}, 'As a formula it would be longer than as source:'), ...meanings),
    make('div', '', {}, make('h4', '', {}, 'The source that ran'), ...shown)];
  if (part.local !== null) {
    rows.push(make('div', '', {}, make('h4', '', {}, 'Local derivative'), localElement(rule, part)));
  }
  return rows;
}

/** The local derivative: in one line with its formula where it is one number. */
function localElement(rule, part) {
  const equation = rule.local ? [formula(rule.local)] : [];
  const isNumber = numberIn(part.local) !== null;
  if (isNumber && rule.local) equation.push(make('span', 'filled', {}, '='));
  return make('div', isNumber ? 'equation' : '', {}, ...equation, arrayFigure(part.local, 'local'));
}

/** The one number of an array; null where it has more. */
function numberIn(number) {
  if (number === null || number === undefined) return null;
  const { numbers } = data.arrays[number];
  return numbers && numbers.length === 1 ? shortNumber(numbers[0]) : null;
}

/** The contribution, with the two numbers that it is the product of where there are just two. */
function contributionElement(part, incoming, label) {
  const [g, local] = [numberIn(incoming), numberIn(part.local)];
  const filled = g !== null && local !== null ? [make('span', 'filled', {}, `g · local derivative = ${g} · ${local.startsWith('−') ? `(${local})` : local} =`)] : [];
  const whole = part.before === null ? { 'data-gradient-of': label, 'data-complete': isLast(part) } : {};
  return make('div', 'equation', whole, ...filled, arrayFigure(part.part, 'contribution'));
}

function sourceElement(source) {
  return make('div', 'source', {}, make('pre', '', { tabindex: 0, 'aria-label': 'source' }, make('code', '', {}, source.text)), make('div', 'file mono', {}, source.where));
}

function term(label, number, role) {
  return make('div', 'term', {}, make('span', 'label', {}, label), arrayFigure(number, role));
}

/** What is added where, and why gradients add up. */
function tellSum(part, label) {
  const sign = (text) => make('span', 'sign', {}, text);
  const why = make('p', part.of > 1 ? 'note' : 'quiet', {}, whyText(part, label));
  const heading = make('h4', '', {}, `Added to ∂L/∂${label}`);
  if (part.before === null) return make('div', '', {}, heading, why); // the contribution is all that there is
  const terms = [term('so far', part.before, 'before'), sign('+'), term('this', part.part, 'added'), sign('='), term(`∂L/∂${label}`, part.after, 'after')];
  return make('div', '', { 'data-gradient-of': label, 'data-complete': isLast(part) }, heading, make('div', 'sum', {}, ...terms), why);
}

/** Whether a contribution is the last that its value gets. */
function isLast(part) {
  return part.nth + part.count - 1 === part.of;
}

function whyText(part, label) {
  const last = part.nth + part.count - 1;
  if (part.of === 1) return `This is the only contribution: ${label} reaches L along this path alone, so the gradient is complete.`;
  const paths = part.count > 1 ? `paths ${part.nth} to ${last}` : `path ${part.nth}`;
  const first = part.before === null ? 'Nothing has arrived before it, so the sum starts with it. ' : '';
  const rest = isLast(part) ? 'Now the gradient is complete.' : `${first}${part.of - last} more to come.`;
  return `${label} reaches L along ${part.of} paths; this is ${paths}. A small change of ${label} changes L along each of them, and the changes add up. So do the gradients: that is the chain rule for several variables. ${rest}`;
}

// ------------------------------------------------------------ closed frames

function tellFrame(step) {
  const frame = data.frames[step.frame];
  const inside = new Set(insideOf[step.frame]);
  const events = [...Array(step.last - step.first + 1).keys()].map((i) => step.first + i);
  const isForward = step.last < SEED;
  const names = events.map((event) => data.boxes[boxAt(event)].title);
  const words = make('p', 'quiet', {}, `${events.length} of ${frame.ops} ops in one step: ${names.slice(0, 12).join(', ')}${names.length > 12 ? ', …' : ''}. Press F to open the group.`);
  const leaving = (value) => data.edges.some(([tail, head, moved]) => moved === value && inside.has(tail) && !inside.has(head)) || value === data.output;
  const outputs = [...inside].flatMap((box) => (['op', 'group'].includes(data.boxes[box].kind) ? data.boxes[box].outputs : [])).map(([, value]) => value).filter(leaving);
  if (isForward) {
    const shown = outputs.filter((value) => isComputed(value, step.last));
    return [words, section('Computes', make('div', 'pairs', {}, ...shown.map((value) => pair(labelOf(value), arrayFigure(data.values[value].array, 'value')))))];
  }
  const pulls = events.map((event) => data.pulls[event - SEED - 1]);
  const given = [...new Set(pulls.flatMap((pull) => pull.parts.map((part) => part.to)))].filter((value) => !inside.has(boxOf.get(value)) || data.values[value].kind === 'leaf');
  const rows = (values, event) => make('div', 'pairs', {}, ...values.map((value) => pair(`∂L/∂${labelOf(value)}`, make('div', '', { 'data-gradient-of': labelOf(value) }, gradientElement(value, event, 'gradient')))));
  return [words, section('Comes in', rows(outputs, step.first)), section('Goes out', rows(given, step.last))];
}
