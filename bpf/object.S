/* The BPF object as the build made it. */
    .section .rodata
    .global clat_bpf_object, clat_bpf_object_size
    .balign 8
clat_bpf_object:
    .incbin CLAT_BPF_OBJECT
clat_bpf_object_end:
    .balign 4
clat_bpf_object_size:
    .int clat_bpf_object_end - clat_bpf_object
    .section .note.GNU-stack, "", %progbits
