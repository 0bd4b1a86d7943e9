// One op in the backward pass: the gradient that comes in, each rule with its numbers, and what is added where.
'use strict';

/** MathML that mathml.py has written, every name in it escaped there. */
function formula(mathml) {
  const holder = make('div', 'formula');
  holder.innerHTML = mathml;
  return holder;
}

function titled(title, ...content) {
  return make('div', '', {}, make('h4', '', {}, title), ...content);
}

/** The one number of an array as text; null where it has more. */
function numberIn(number) {
  if (number === null || number === undefined) return null;
  const { numbers } = data.arrays[number];
  return numbers && numbers.length === 1 ? shortNumber(numbers[0]) : null;
}

function tellBackward(box, pull) {
  const incoming = pull.gradients.map(([value, array]) => make('div', '', { 'data-gradient-of': labelOf(value) },
    make('div', 'quiet', {}, `g = ∂L/∂${labelOf(value)}`),
    array === null ? missing('incoming') : arrayFigure(array, 'incoming')));
  const hooked = 'A hook has changed this gradient: it is no longer the sum of what arrived.';
  if (pull.hooked) incoming.push(make('p', 'notice', {}, hooked));
  const named = pull.named.length ? [section('The rule’s named values', ...namedValues(pull.named))] : [];
  const g = pull.gradients.length === 1 ? pull.gradients[0][1] : null;
  const parts = pull.parts.map((part) => tellPart(part, box, g));
  const needNames = pull.parts.some((part) => part.local === null); // else the local derivatives tell more
  return [
    ...aboutOp(box), section('Incoming gradient', ...incoming),
    ...(needNames ? [...named, ...parts] : [...parts, ...named]),
  ];
}

/** Arrays in rows; shapes and parameters together in a line. */
function namedValues(named) {
  const rows = named.filter(([, array]) => array !== null);
  const texts = named.filter(([, array]) => array === null);
  const chips = texts.map(([name, , text]) => make('span', 'chip mono', {}, `${name}=${text}`));
  return [
    make('div', 'pairs', {}, ...rows.map(([name, array]) => pair(name, arrayFigure(array, 'named')))),
    ...(chips.length ? [make('div', 'where', {}, ...chips)] : []),
  ];
}

/** What goes back to one input. */
function tellPart(part, box, g) {
  const label = labelOf(part.to);
  const input = part.input && part.input !== label ? `${part.input} = ` : '';
  return make('section', 'card', { 'data-part': label, 'data-input': part.input || '' },
    make('h3', '', {}, `Back to ${input}`, make('span', 'name mono', {}, label)),
    ...(part.rule === undefined ? [] : tellRule(data.rules[part.rule], part)),
    tellContribution(part, box, g, label), tellSum(part, label));
}

function tellRule(rule, part) {
  const asFormula = rule.formula ? formula(rule.formula)
    : make('p', 'quiet', {}, 'As a formula it would be longer than as source:');
  const meanings = Object.entries(rule.explained).map(([name, text]) => (
    make('p', 'quiet', {}, make('code', '', {}, name), `: ${text}`)));
  const rows = [
    titled(rule.joint ? 'Rule, joint for all inputs' : 'Rule', asFormula, ...meanings),
    titled('The source that ran', ...tellSources(rule.sources.map((number) => data.sources[number]))),
  ];
  if (part.local !== null) rows.push(titled('Local derivative', localDerivative(rule, part)));
  return rows;
}

function tellSources([rule, ...helpers]) {
  if (!rule) return [make('p', 'quiet', {}, 'The source of this rule is not to be had.')];
  if (!helpers.length) return [sourceElement(rule)];
  const called = make('details', '', {}, make('summary', '', {}, 'what it calls'), ...helpers.map(sourceElement));
  return [sourceElement(rule), called];
}

function sourceElement(source) {
  return make('div', 'source', {},
    make('pre', '', {}, make('code', '', {}, source.text)), make('div', 'file mono', {}, source.where));
}

/** The local derivative: in one line with its formula where it is one number. */
function localDerivative(rule, part) {
  const isNumber = numberIn(part.local) !== null;
  const equation = rule.local ? [formula(rule.local)] : [];
  if (isNumber && rule.local) equation.push(make('span', 'filled', {}, '='));
  return make('div', isNumber ? 'equation' : '', {}, ...equation, arrayFigure(part.local, 'local'));
}

function tellContribution(part, box, g, label) {
  const title = box.kind === 'group' ? `What ${counted(part.count, 'rule')} gave` : 'Contribution';
  if (!part.fitted) return titled(title, contribution(part, g, label));
  const why = part.fitted.startsWith('summed')
    ? ' Each copy is a path of its own, and what comes back along all of them adds up.' : '';
  const fitted = make('p', 'quiet', {}, `Then ${part.fitted}.${why}`);
  return titled(title, arrayFigure(part.given, 'given'), fitted, contribution(part, null, label));
}

/** What is added; with the two numbers that it is the product of, where there are just two. */
function contribution(part, g, label) {
  const [gradient, local] = [numberIn(g), numberIn(part.local)];
  const factor = (text) => (text.startsWith('−') ? `(${text})` : text);
  const filled = gradient === null || local === null ? []
    : [make('span', 'filled', {}, `g · local derivative = ${gradient} · ${factor(local)} =`)];
  const isWholeSum = part.before === null; // then no sum is shown
  const attributes = isWholeSum ? { 'data-gradient-of': label, 'data-complete': isLast(part) } : {};
  return make('div', 'equation', attributes, ...filled, arrayFigure(part.part, 'contribution'));
}

// ------------------------------------------------------------ the sum

/** Whether a contribution is the last that its value gets. */
function isLast(part) {
  return part.nth + part.count - 1 === part.of;
}

/** What is added where, and why gradients add up. */
function tellSum(part, label) {
  const why = make('p', part.of > 1 ? 'note' : 'quiet', {}, whyText(part, label));
  const title = `Added to ∂L/∂${label}`;
  if (part.before === null) return titled(title, why); // the contribution is all that there is
  const term = (text, number, role) => (
    make('div', 'term', {}, make('span', 'label', {}, text), arrayFigure(number, role)));
  const sign = (text) => make('span', 'sign', {}, text);
  const sum = make('div', 'sum', {}, term('so far', part.before, 'before'), sign('+'), term('this', part.part, 'added'),
    sign('='), term(`∂L/∂${label}`, part.after, 'after'));
  return make('div', '', { 'data-gradient-of': label, 'data-complete': isLast(part) },
    make('h4', '', {}, title), sum, why);
}

function whyText(part, label) {
  if (part.of === 1) {
    return `This is the only contribution: ${label} reaches L along this path alone, so the gradient is complete.`;
  }
  const last = part.nth + part.count - 1;
  const paths = part.count > 1 ? `paths ${part.nth} to ${last}` : `path ${part.nth}`;
  const first = part.before === null ? 'Nothing has arrived before it, so the sum starts with it. ' : '';
  const rest = isLast(part) ? 'Now the gradient is complete.' : `${first}${part.of - last} more to come.`;
  return `${label} reaches L along ${part.of} paths; this is ${paths}. A small change of ${label} changes L along each `
    + 'of them, and the changes add up. So do the gradients: that is the chain rule for several variables. '
    + rest;
}
