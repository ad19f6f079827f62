/** Made once for each: resources and origins are shared by identity, and exporters group by it. */
export function once<T extends object, M extends object>(known: WeakMap<T, M>, of: T, make: (of: T) => M): M {
  let made = known.get(of);
  if (!made) {
    made = make(of);
    known.set(of, made);
  }
  return made;
}
