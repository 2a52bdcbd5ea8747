/** Names of settings that somebody has mistyped: which one was meant. */

/** A Service of Kubernetes leaves such names, whoever asked for them. */
const links = /_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$/;
const linkValue = /^(tcp|udp|sctp):\/\//;

const slipsMax = 2;

/** The known name that this one was to be; null where it may be anything. */
export function meantBy(
  given: { readonly name: string; readonly value: string },
  options: { readonly prefix: string; readonly known: readonly string[] },
): string | null {
  const { name, value } = given;
  const { prefix, known } = options;
  if (known.includes(name) || links.test(name) || linkValue.test(value)) return null;
  const upper = name.toUpperCase();
  const same = known.find((one) => one === upper || `HOLDFAST_${one}` === upper);
  if (same !== undefined) return same;
  const rest = upper.slice(upper.indexOf("_") + 1);
  const full = `${prefix}${rest}`;
  const own = upper.slice(0, upper.length - rest.length);
  if (own !== prefix) {
    const isNear = own === "HOLDFAST_" || slips(own, prefix, 1) <= 1;
    return isNear && known.includes(full) ? full : null;
  }
  const most = Math.min(slipsMax, Math.ceil(rest.length / 4));
  const near = known.map((one) => ({ one, count: slips(upper, one, most) }));
  const [best] = near.toSorted((left, right) => left.count - right.count);
  return best !== undefined && best.count <= most ? best.one : null;
}

/** Letters left out, added, changed, or exchanged with their neighbour; beyond `most` just more. */
function slips(left: string, right: string, most: number): number {
  if (Math.abs(left.length - right.length) > most) return most + 1;
  let before: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (let row = 1; row <= left.length; row++) {
    const next = [row];
    for (let at = 1; at <= right.length; at++) {
      const isSame = left[row - 1] === right[at - 1];
      const isSwap = left[row - 1] === right[at - 2] && left[row - 2] === right[at - 1];
      next[at] = Math.min(
        last[at]! + 1, // these have been filled
        next[at - 1]! + 1,
        last[at - 1]! + (isSame ? 0 : 1),
        row > 1 && at > 1 && isSwap ? before[at - 2]! + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [before, last] = [last, next];
  }
  return last[right.length]!;
}
