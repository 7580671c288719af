from kedja.compiler.llvm_math_lanes import *
from kedja.compiler.llvm_math_lanes import Lanes
import math
C32=(1.0,1.0,0.5000022649765015,0.16663210093975067,0.0418543703854084,0.00786927342414856,0.0019120648503303528)
C64=(1.0,1.0,0.49999999999997374,0.16666666666790791,0.041666666643776974,0.008333333557238311,0.0013888875743075534,0.00019841761213168523,2.4789620347585674e-05,2.7746061869976243e-06,2.5709702186041134e-07,3.507122357538059e-08)
def exp(x, scheme=0):
    if x.bits==32:
        C,hi,lo,half,magic,l1,l2,sh=C32,89.0,-87.8,0.49999997,1.5*2**23+127,0.693145751953125,1.428606765330187e-06,23
    else:
        C,hi,lo,half,magic,l1,l2,sh=C64,710.0,-709.0,math.nextafter(.5,0),1.5*2**52+1023,float.fromhex('0x1.62e42fefa39efp-1'),float.fromhex('0x1.abc9e3b39803fp-56'),52
        lo=-708.9
    x=at_least(at_most(x,hi),lo)
    t=fma(x,1.4426950408889634,-half)+magic
    s=float_of(bits_of(t)<<sh)
    n=t-magic
    r=fma(n,-l2,fma(n,-l1,x))
    if scheme==0: p=polynomial(r,C)
    elif scheme==1:
        r2=r*r
        p=fma(r2, polynomial(r2,C[2::2]) if len(C[2::2])>1 else C[2],1.0)
        q=polynomial(r2,C[1::2])
        p=fma(q,r,p)
    else:
        # estrin
        c=[r.like(v) for v in C]; z=r
        while len(c)>1:
            c=[fma(c[i+1],z,c[i]) if i+1<len(c) else c[i] for i in range(0,len(c),2)]
            if len(c)>1: z=z*z
        p=c[0]
    return p*s
