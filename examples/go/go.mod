module github.com/lumos-db/lumos/examples/go

go 1.24.0

require github.com/lumos-db/lumos/go v0.0.0

require github.com/ebitengine/purego v0.10.2 // indirect

replace github.com/lumos-db/lumos/go => ../../go
