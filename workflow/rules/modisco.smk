rule modisco:
    input:
        run=RUN,
    output:
        f"{OUT}/modisco/{PAIR}.h5",
    log:
        f"{OUT}/logs/modisco/{PAIR}.log",
    benchmark:
        f"{OUT}/benchmarks/modisco/{PAIR}.tsv"
    conda:
        "../envs/modisco.yaml"
    threads: config["resources"]["modisco"]["threads"]
    resources:
        mem_mb=more_memory_each_time("modisco"),
        runtime=config["resources"]["modisco"]["runtime"],
    params:
        max_seqlets=config["modisco"]["max_seqlets"],
        window=config["modisco"]["window"],
    shell:
        "prefix={input.run:q}/{wildcards.sample}.{wildcards.model}{wildcards.target}; "
        'NUMBA_NUM_THREADS={threads} modisco motifs -s "$prefix.ohe.npz" -a "$prefix.attr.npz"'
        " -n {params.max_seqlets} -w {params.window} -o {output:q} > {log:q} 2>&1"
