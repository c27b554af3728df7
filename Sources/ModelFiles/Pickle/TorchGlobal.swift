/// What a global name in a pickle stands for: the few that build tensors and containers, and `other` for the rest.
///
/// `other` covers harmless helpers, a user's classes and hostile calls alike: none is ever run.
enum TorchGlobal {
    /// `torch._utils._rebuild_tensor`, `_v2` and `_v3`: (storage, offset, shape, strides, …).
    case rebuildTensor(hasDType: Bool)
    /// `torch._utils._rebuild_parameter…`: (tensor, …).
    case firstArgument
    /// `torch._tensor._rebuild_from_type` and `_v2`: (function, class, its arguments, state).
    case rebuildFromType
    /// `copyreg._reconstructor`: (class, base, state).
    case reconstructor
    /// A class of storage; nil for one whose elements are not read here (quantized ones).
    case storage(DType?)
    /// `torch.float32` and its like.
    case dtype(DType)
    /// `dict` and its ordered and defaulting kin.
    case dictionary
    case other

    init(module: String, name: String) {
        switch module {
        case "torch._utils", "torch.tensor", "torch._tensor":
            switch name {
            case "_rebuild_tensor", "_rebuild_tensor_v2": self = .rebuildTensor(hasDType: false)
            case "_rebuild_tensor_v3": self = .rebuildTensor(hasDType: true)
            case "_rebuild_parameter", "_rebuild_parameter_with_state": self = .firstArgument
            case "_rebuild_from_type", "_rebuild_from_type_v2": self = .rebuildFromType
            default: self = .other
            }
        case "torch", "torch.storage", "torch.cuda":
            if name == "Size" {
                self = .firstArgument
            } else if name.hasSuffix("Storage") {
                self = .storage(Self.storages[name])
            } else if let dtype = Self.dtypes[name] {
                self = .dtype(dtype)
            } else {
                self = .other
            }
        case "collections": self = name == "OrderedDict" || name == "defaultdict" ? .dictionary : .other
        case "builtins", "__builtin__":
            switch name {
            case "dict": self = .dictionary
            case "set", "frozenset", "list", "tuple": self = .firstArgument
            default: self = .other
            }
        // TorchScript's pickles tag their lists with types: `build_tensorlist(list)`, `restore_type_tag(value, type)`.
        case "torch.jit._pickle":
            self = name.hasPrefix("build_") || name == "restore_type_tag" ? .firstArgument : .other
        case "copyreg", "copy_reg": self = name == "_reconstructor" ? .reconstructor : .other
        default: self = .other
        }
    }

    private static let storages: [String: DType] = [
        "DoubleStorage": .f64, "FloatStorage": .f32, "HalfStorage": .f16, "BFloat16Storage": .bf16,
        "LongStorage": .i64, "IntStorage": .i32, "ShortStorage": .i16, "CharStorage": .i8, "ByteStorage": .u8,
        "UntypedStorage": .u8, "BoolStorage": .bool, "ComplexFloatStorage": .c64,
        "ComplexDoubleStorage": DType(rawValue: "C128"),
    ]

    private static let dtypes: [String: DType] = [
        "float64": .f64, "float32": .f32, "float16": .f16, "bfloat16": .bf16, "int64": .i64, "int32": .i32,
        "int16": .i16,
        "int8": .i8, "uint64": .u64, "uint32": .u32, "uint16": .u16, "uint8": .u8, "bool": .bool, "complex64": .c64,
        "float8_e4m3fn": .f8E4M3, "float8_e5m2": .f8E5M2, "float8_e4m3fnuz": DType(rawValue: "F8_E4M3FNUZ"),
        "float8_e5m2fnuz": DType(rawValue: "F8_E5M2FNUZ"), "float8_e8m0fnu": DType(rawValue: "F8_E8M0"),
        "complex32": DType(rawValue: "C32"), "complex128": DType(rawValue: "C128"),
    ]
}
