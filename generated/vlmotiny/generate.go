package vlmotiny

//go:generate go run ../../cmd/multiway build -o . vlmotiny.yaml
