import { createRequire } from "node:module";
const mode=process.argv[2]; console.log(mode);
if(mode!=="none"){ const a=createRequire(import.meta.url)("./addon/build/Release/deft_native.node"); if(mode!=="load"){ a.configure(2,"auto"); const x=new Float32Array(1e6); for(let i=0;i<100;i++) a.unary(0,1e6,x,x);} if(mode==="gemm"){const z=new Float32Array(256*256); for(let i=0;i<200;i++) a.linear(0,false,256,256,256,z,z,null,null,new Float32Array(65536),null);} if(mode==="alloc"){ for(let i=0;i<2000;i++) new Float32Array(a.allocate(100000)).fill(1);} }
console.log("done");
