rule motifs:
    input:
        run=RUN,
    output:
        f"{OUT}/motifs/{{sample}}.{{model}}.h5",
    log:
        f"{OUT}/logs/motifs/{{sample}}.{{model}}.log",
    benchmark:
        f"{OUT}/benchmarks/motifs/{{sample}}.{{model}}.tsv"
    conda:
        "../envs/modisco.yaml"
    threads: config["resources"]["motifs"]["threads"]
    resources:
        mem_mb=more_memory_each_time("motifs"),
        runtime=config["resources"]["motifs"]["runtime"],
    params:
        max_seqlets=config["motifs"]["max_seqlets"],
        window=config["motifs"]["window"],
    shell:
        "prefix={input.run:q}/{wildcards.sample}.{wildcards.model}; "
        'NUMBA_NUM_THREADS={threads} modisco motifs -s "$prefix.ohe.npz" -a "$prefix.attr.npz"'
        " -n {params.max_seqlets} -w {params.window} -o {output:q} > {log:q} 2>&1"
