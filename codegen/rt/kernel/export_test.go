package kernel

var Resolve = resolve
